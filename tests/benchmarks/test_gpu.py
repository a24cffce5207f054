"""`make gpu` without a GPU: what it writes, what it refuses, and the arithmetic of its timing."""

import json
import re
import subprocess
import sys
from pathlib import Path

import cuda_timing
import gpu
import pytest
import torch

ROOT = Path(__file__).parents[2]
ALONE = """
tests/ops/test_nms.py::test_a[cuda-x y] PASSED                            [ 25%]
tests/ops/test_nms.py::test_b FAILED                                      [ 50%]
tests/ops/test_nms.py::test_c SKIPPED (needs two GPUs)                    [ 75%]
=== FAILURES ===
FAILED tests/ops/test_nms.py::test_b - assert False
"""
OF_WORKERS = """
tests/ops/test_nms.py::test_a[cuda-x y]
[gw1] [  1%] PASSED tests/ops/test_nms.py::test_a[cuda-x y]
tests/ops/test_nms.py::test_b
[gw0] [ 10%] FAILED tests/ops/test_nms.py::test_b
[gw0] [100%] SKIPPED tests/ops/test_nms.py::test_c
[gw1] node down: Not properly terminated
"""


@pytest.mark.parametrize("log", [ALONE, OF_WORKERS])
def test_counts_of_a_log(log):
    name = "tests/ops/test_nms.py::test_"
    assert gpu.counts(log) == {"passed": 1, "failed": [f"{name}b"], "skipped": [f"{name}c"]}
    assert gpu.counts("") == {"passed": 0, "failed": [], "skipped": []}


def test_a_part_that_takes_too_long_is_stopped(monkeypatch, tmp_path):
    monkeypatch.setattr(gpu, "LIMIT", 0.1)
    log = tmp_path / "log"
    assert gpu.run("sh", "-c", "echo said; exec sleep 60", log=log) == gpu.STOPPED
    assert log.read_text() == "said\n"
    monkeypatch.setattr(gpu, "GRACE", 0.5)
    assert gpu.run("sh", "-c", "trap '' INT; sleep 60 & wait; wait") == gpu.STOPPED


def test_a_stopped_part_tells_why_tests_failed(monkeypatch, tmp_path):
    (tmp_path / "test_slow.py").write_text(
        "import time\ndef test_a(): assert 1 == 2, 'a reason'\ndef test_b(): time.sleep(60)\n"
    )
    log = tmp_path / "log"
    monkeypatch.setattr(gpu, "LIMIT", 15)  # a busy machine starts pytest in some 5 s
    run = [sys.executable, "-m", "pytest", "-v", "--color=no", str(tmp_path / "test_slow.py")]
    assert gpu.run(*run, log=log) == gpu.STOPPED
    assert (
        len(gpu.counts(log.read_text())["failed"]) == 1 and "E   AssertionError" in log.read_text()
    )


def test_every_test_of_a_gpu_is_run():
    uses_a_gpu = re.compile(r"(?m)mark\.cuda\b|^def test_\w+\((?:[^)]*\W)?device\b")
    files = [p for p in (ROOT / "tests").rglob("test_*.py") if uses_a_gpu.search(p.read_text())]
    chosen = [ROOT / p for p in (*gpu.TESTS, gpu.TRAINING)]
    left_out = {p for p in files if not any(p == c or c in p.parents for c in chosen)}
    assert len(files) > 20 and not left_out


def test_parts_of_one_commit_are_kept_together(tmp_path):
    target = tmp_path / "results" / "gpu.json"
    gpu.keep(target, {"commit": "a"}, "build", {"ok": True})
    gpu.keep(target, {"commit": "a"}, "tests", {"ok": False})
    gpu.keep(target, {"commit": "a"}, "tests", {"ok": True})
    found = json.loads(target.read_text())
    assert found == {
        "machine": {"commit": "a"},
        "parts": {"build": {"ok": True}, "tests": {"ok": True}},
    }
    gpu.keep(target, {"commit": "b"}, "bench", {"ok": True})
    assert json.loads(target.read_text())["parts"] == {"bench": {"ok": True}}
    assert list(target.parent.iterdir()) == [target]


def test_every_part_is_tried_and_a_failure_is_told(tmp_path, monkeypatch, capsys):
    ran = []

    def part(name, ok):
        return lambda: ran.append(name) or {"ok": ok}

    monkeypatch.setattr(gpu, "PARTS", {"build": part("build", True), "tests": part("tests", False)})
    monkeypatch.setitem(gpu.PARTS, "bench", part("bench", True))
    monkeypatch.setattr(gpu, "machine", lambda: {"gpu": "Some GPU 1"})
    monkeypatch.setattr(gpu, "ROOT", tmp_path)
    monkeypatch.setattr(gpu, "BUILD", tmp_path / "build")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert gpu.main([]) == 1
    assert ran == ["build", "tests", "bench"]
    (target,) = (tmp_path / "benchmarks" / "results").glob("some-gpu-1-*.json")
    parts = json.loads(target.read_text())["parts"]
    assert {name: p["ok"] for name, p in parts.items()} == {
        "build": True,
        "tests": False,
        "bench": True,
    }
    assert "fastcv: tests failed" in capsys.readouterr().out
    monkeypatch.setitem(gpu.PARTS, "build", part("build", False))
    ran.clear()
    assert gpu.main([]) == 1 and ran == ["build"]  # the rest would be of another build


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["speed"], "PART must be one of build, tests, sanitize, bench, got speed"),
        *([] if torch.cuda.is_available() else [([], "sees no GPU here: `make gpu` needs")]),
    ],
)
def test_refusals(arguments, message):
    command = [sys.executable, "benchmarks/gpu.py", *arguments]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert found.returncode == 1 and message in found.stderr


@pytest.mark.parametrize(("mib", "sets"), [(1, 32), (20, 13), (100, 3), (300, 2)])
def test_no_cache_holds_the_next_inputs(mib, sets):
    half = torch.empty(mib << 19, dtype=torch.uint8, device="meta")
    found = cuda_timing.rotation(lambda: (half, {"more": [half]}, 7))
    assert len(found) == sets


def test_a_slow_call_is_timed_on_fewer_inputs():
    sets = [(i,) for i in range(10)]
    assert cuda_timing.as_many_as_take(100, 25, sets) == sets[:4]
    assert cuda_timing.as_many_as_take(100, 5000, sets) == sets[:1]
    assert cuda_timing.as_many_as_take(100, 0, sets) == sets


def test_the_floor_is_the_longer_of_moving_and_multiplying():
    floors = cuda_timing.Floors(1e9, {"float32": 1e10, "float16": 1e11})
    assert floors.milliseconds(4e9) == 4
    assert floors.milliseconds(4e9, 5e10) == 5
    assert floors.milliseconds(4e9, 5e10, "float16") == 4
