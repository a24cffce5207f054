"""Whether CUDA is built, with which toolkit, for which GPUs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from buildlib import stop

OLDEST = (8, 0)  # the tensor-core instructions of csrc/common/mma.cuh


def find_toolkit() -> tuple[str, str] | None:
    """The CUDA toolkit's folder and version, from nvcc itself: the one on PATH may be a wrapper."""
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")
    nvcc = str(Path(home, "bin", "nvcc")) if home else shutil.which("nvcc")
    if nvcc is None and Path("/usr/local/cuda/bin/nvcc").exists():
        nvcc = "/usr/local/cuda/bin/nvcc"
    if nvcc is None or not Path(nvcc).exists():
        return None
    text = subprocess.run([nvcc, "--version"], capture_output=True, text=True).stdout
    version = re.search(r"release (\d+\.\d+)", text)
    if version is None:
        return None
    plan = subprocess.run(
        [nvcc, "--dryrun", "-E", "-x", "cu", os.devnull], capture_output=True, text=True
    ).stderr
    top = re.search(r"TOP=(.+)", plan)
    home = home or (
        str(Path(top.group(1).strip()).resolve()) if top else str(Path(nvcc).parents[1])
    )
    return home, version.group(1)


def want_cuda(torch_cuda: str | None, toolkit: str | None) -> bool:
    """Whether to build the CUDA side; stops with one sentence where that cannot work."""
    asked = os.environ.get("FASTCV_CUDA", "")
    if asked not in ("", "0", "1"):
        stop(f"FASTCV_CUDA must be 0 or 1, got {asked!r}.")
    if asked == "0":
        return False
    if asked == "1" and torch_cuda is None:
        stop(
            "FASTCV_CUDA=1, but the installed torch is a CPU build: install a CUDA build of torch "
            "or build with FASTCV_CUDA=0."
        )
    if asked == "1" and toolkit is None:
        stop(
            "FASTCV_CUDA=1, but no nvcc was found: install the CUDA toolkit "
            f"{torch_cuda} (or set CUDA_HOME) or build with FASTCV_CUDA=0."
        )
    if torch_cuda is None or toolkit is None:
        return False
    if torch_cuda.split(".")[0] != toolkit.split(".")[0]:
        stop(
            f"torch was built for CUDA {torch_cuda}, but nvcc is {toolkit}: install CUDA toolkit "
            f"{torch_cuda.split('.')[0]}.x (and point CUDA_HOME at it) or build with FASTCV_CUDA=0."
        )
    return True


def archs(toolkit: str, nvcc: str) -> str:
    """What TORCH_CUDA_ARCH_LIST says; without it the GPUs that are here; without those a list."""
    asked = os.environ.get("TORCH_CUDA_ARCH_LIST")
    return asked or for_gpus(gpus(), supported_by(nvcc)) or default_archs(toolkit)


def gpus() -> list[str]:
    """The compute capabilities of the GPUs that are here, such as ["8.6", "9.0"]."""
    import torch

    if torch.cuda.is_available():
        found = [torch.cuda.get_device_capability(i) for i in range(torch.cuda.device_count())]
        return [f"{major}.{minor}" for major, minor in found]
    if shutil.which("nvidia-smi") is None:
        return []
    asked = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader"]
    text = subprocess.run(asked, capture_output=True, text=True).stdout
    return re.findall(r"^\d+\.\d+$", text, re.M)


def supported_by(nvcc: str) -> list[str]:
    text = subprocess.run([nvcc, "--list-gpu-arch"], capture_output=True, text=True).stdout
    return [f"{major}.{minor}" for major, minor in re.findall(r"^compute_(\d+)(\d)$", text, re.M)]


def for_gpus(capabilities: list[str], supported: list[str]) -> str:
    """The architectures to build for these GPUs, as TORCH_CUDA_ARCH_LIST; "" where none can be.

    A GPU newer than nvcc takes the newest that nvcc knows, as PTX, which the driver translates.
    """
    known = sorted({_numbers(arch) for arch in supported})
    found = set()
    for gpu in {_numbers(capability) for capability in capabilities}:
        older = [arch for arch in known if OLDEST <= arch <= gpu]
        if older:
            found.add((older[-1], "" if older[-1] == gpu else "+PTX"))
    return ";".join(f"{major}.{minor}{ptx}" for (major, minor), ptx in sorted(found))


def _numbers(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def default_archs(toolkit: str) -> str:
    return "8.0;9.0;10.0;12.0+PTX" if _numbers(toolkit) >= (12, 8) else "8.0;9.0+PTX"


def nvidia_package_dirs(kind: str) -> list[str]:
    """Folders of the pip-installed CUDA libraries: headers and libraries the toolkit may lack."""
    site = [Path(p, "nvidia") for p in sys.path if Path(p, "nvidia").is_dir()]
    return sorted({str(d) for s in site for d in s.glob(f"*/{kind}") if d.is_dir()})
