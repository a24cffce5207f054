"""torchrun with two processes on gloo: the losses of one process."""

import csv
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

SCRIPT = Path(__file__).with_name("digits.py")


def torchrun(*arguments, cwd):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [*command, *map(str, arguments)], cwd=cwd, env=environment, text=True, capture_output=True
    )


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    done = torchrun(SCRIPT, folder, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


def rows(path):
    with open(path) as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def said(folder, rank):
    return json.loads((folder / f"said-{rank}.json").read_text())


def same_run(one, two):
    # The same sums of float32 in another order: they part by rounding, step after step.
    for name in ("history.csv", "epochs.csv"):
        ours, theirs = rows(one / name), rows(two / name)
        assert ours and len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            assert a == pytest.approx(b, rel=1e-4)
    a, b = load_file(one / "model.safetensors"), load_file(two / "model.safetensors")
    assert a.keys() == b.keys()
    for name in a:
        assert a[name].float().numpy() == pytest.approx(b[name].float().numpy(), abs=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name, options", [("ddp", {}), ("ddp-parts", {"accumulate": 2})])
def test_ddp(digits, two, tmp_path, name, options):
    digits.train(tmp_path, **options)
    same_run(tmp_path, two / name)


@pytest.mark.slow
def test_ddp_players(digits, two, tmp_path):
    _, history = digits.train_toy(tmp_path)
    for a, b in zip(history.steps, rows(two / "ddp-toy" / "history.csv"), strict=True):
        assert a == pytest.approx(b, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name, accumulate", [("ddp-shared", 1), ("ddp-shared-parts", 2)])
def test_ddp_shared_forward(digits, two, tmp_path, name, accumulate):
    _, history = digits.train_toy(tmp_path, digits.SharedToy, accumulate=accumulate)
    for a, b in zip(history.steps, rows(two / name / "history.csv"), strict=True):
        assert a == pytest.approx(b, rel=1e-4)


@pytest.mark.slow
def test_ddp_shared_forward_with_buffers(digits, two):
    """Norm and pool change in a step; the processes' weights stay together."""
    history = rows(two / "ddp-pool" / "history.csv")
    assert len(history) == 8 and all(map(math.isfinite, history[-1].values()))
    a, b = said(two, 0)["state"], said(two, 1)["state"]
    assert all(a[name] == b[name] for name in ("mover.weight", "norm.weight", "judge.weight"))
    # 4 of each step's 8 points come to a process, so that 20 are there in the fifth.
    assert a["filled"] == b["filled"] == 20
    # Buffers are sent once a step, before the forward, and not again between the turns: each
    # process still has what its own last turns put into rank 0's pool.
    both = sum(x == y for x, y in zip(a["pool"], b["pool"], strict=True))
    assert 12 <= both < 20


@pytest.mark.slow
def test_ddp_stopped_by_one_process_and_resumed(digits, two, tmp_path):
    digits.train(tmp_path)
    same_run(tmp_path, two / "ddp-stopped")
    assert said(two, 0)["stop"].startswith("stopped after step 3;")
    assert said(two, 1)["stop"] == 1


@pytest.mark.slow
def test_fsdp_resumed(digits, two, tmp_path):
    model, _ = digits.train(tmp_path, scheduler=None)
    same_run(tmp_path, two / "fsdp")
    total = sum(p.numel() for p in model.parameters())
    held = [said(two, rank)["held"] for rank in (0, 1)]
    assert sum(held) == total and max(held) < 0.7 * total


@pytest.mark.slow
def test_errors(digits, two):
    for rank in (0, 1):
        assert said(two, rank)["batch"] == (
            "batch_size must be a multiple of processes x accumulate = 2 x 1, got 31"
        )
        assert said(two, rank)["players"] == (
            "strategy 'fsdp' takes a model without players: use DDP"
        )
    with pytest.raises(ValueError, match="sharded was True and is now False"):
        digits.train(two / "fsdp", scheduler=None)
