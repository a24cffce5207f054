"""Which architectures are built: what was asked for, else the GPUs that are here, else a list."""

from pathlib import Path

import pytest
import torch

from buildlib import cuda

NVCC_13 = ["7.5", "8.0", "8.6", "8.7", "8.9", "9.0", "10.0", "11.0", "10.3", "12.0", "12.1"]


@pytest.mark.parametrize(
    "gpus, expected",
    [
        (["9.0"], "9.0"),
        (["9.0", "9.0"], "9.0"),
        (["12.0", "8.6"], "8.6;12.0"),
        (["12.7"], "12.1+PTX"),  # newer than nvcc
        (["7.5"], ""),  # older than the kernels
        (["7.5", "8.9"], "8.9"),
        ([], ""),
    ],
)
def test_for_gpus(gpus, expected):
    assert cuda.for_gpus(gpus, NVCC_13) == expected


def program(file: Path, output: str, status: int = 0) -> str:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\necho '{output}'\nexit {status}\n")
    file.chmod(0o755)
    return str(file)


def test_supported_by(tmp_path):
    nvcc = program(tmp_path / "nvcc", "compute_90\ncompute_90a\ncompute_100\ncompute_121")
    assert cuda.supported_by(nvcc) == ["9.0", "10.0", "12.1"]


@pytest.fixture
def torch_sees_no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.mark.parametrize(
    "output, status, expected",
    [
        ("9.0\n8.6", 0, ["9.0", "8.6"]),
        ("NVIDIA-SMI has failed because it could not talk to the driver.", 9, []),
        ("No devices were found", 6, []),
    ],
)
def test_gpus_of_nvidia_smi(tmp_path, monkeypatch, torch_sees_no_gpu, output, status, expected):
    program(tmp_path / "nvidia-smi", output, status)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert cuda.gpus() == expected


def test_gpus_of_torch(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda i: [(9, 0), (12, 1)][i])
    assert cuda.gpus() == ["9.0", "12.1"]


@pytest.fixture
def nvcc(tmp_path):
    return program(tmp_path / "bin" / "nvcc", "compute_80\ncompute_90\ncompute_120")


def test_archs_of_the_gpu(monkeypatch, nvcc):
    monkeypatch.delenv("TORCH_CUDA_ARCH_LIST", raising=False)
    monkeypatch.setattr(cuda, "gpus", lambda: ["9.0"])
    assert cuda.archs("13.0", nvcc) == "9.0"


@pytest.mark.parametrize(
    "toolkit, expected", [("13.0", "8.0;9.0;10.0;12.0+PTX"), ("12.6", "8.0;9.0+PTX")]
)
def test_archs_without_a_gpu(monkeypatch, nvcc, toolkit, expected):
    monkeypatch.delenv("TORCH_CUDA_ARCH_LIST", raising=False)
    monkeypatch.setattr(cuda, "gpus", list)
    assert cuda.archs(toolkit, nvcc) == expected


def test_archs_asked_for(monkeypatch, nvcc):
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", "8.6 9.0+PTX")
    monkeypatch.setattr(cuda, "gpus", lambda: ["12.0"])
    assert cuda.archs("13.0", nvcc) == "8.6 9.0+PTX"
