"""The report of `fastcv doctor`: facts of this machine, and one sentence for what does not fit."""

import subprocess
import sys

import pytest
import torch

from fastcv import _C, _extension, cli, doctor


def test_this_machine(capsys):
    assert cli.main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert f"torch        {torch.__version__}" in out
    assert f"for torch    {_C.build_info()['torch']}" in out
    assert f"CPU kernels  {_C.cpu_isa()}" in out
    assert "[test]" in out and out.endswith("all well\n")


def test_as_a_module():
    run = subprocess.run([sys.executable, "-m", "fastcv", "doctor"], capture_output=True, text=True)
    assert run.returncode == 0 and run.stdout.startswith("versions\n")


def test_a_library_for_another_torch(capsys, monkeypatch):
    monkeypatch.setattr(_extension, "_release", lambda version: version + str(id(version)))
    assert cli.main(["doctor"]) == 1
    out = capsys.readouterr().out
    assert "none that loads" in out
    assert "problem: fastcv was built for torch" in out and _extension.REBUILD in out


@pytest.mark.parametrize(
    "built, torch_cuda, gpu, words",
    [
        (None, "13.0", True, "this machine has a GPU, but fastcv was built without CUDA"),
        ("13.0", None, False, "fastcv was built with CUDA 13.0, but torch is a CPU build"),
        ("12.8", "13.0", True, "fastcv was built with CUDA 12.8, but torch with CUDA 13.0"),
    ],
)
def test_mismatches(built, torch_cuda, gpu, words):
    (sentence,) = doctor.mismatches(built, torch_cuda, gpu)
    assert sentence.startswith(words) and _extension.REBUILD in sentence


@pytest.mark.parametrize(
    "built, torch_cuda, gpu",
    [(None, None, False), (None, "13.0", False), ("13.0", "13.0", True), ("13.0", "13.1", False)],
)
def test_what_fits(built, torch_cuda, gpu):
    assert doctor.mismatches(built, torch_cuda, gpu) == []


def test_an_extra_that_is_missing(monkeypatch):
    requires = ["torch>=2.11", 'matplotlib; extra == "viz"', 'no-such-thing>=1; extra == "viz"']
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: requires)
    assert doctor._extras() == {"[viz]": "missing no-such-thing: pip install 'fastcv[viz]'"}


def test_an_unknown_command(capsys):
    with pytest.raises(SystemExit) as error:
        cli.main(["cure"])
    assert error.value.code == 2 and "invalid choice: 'cure'" in capsys.readouterr().err
