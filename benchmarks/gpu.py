"""Everything a GPU can show: `make gpu PYTHON=python3 [PART=build|tests|sanitize|bench]`.

Needs no network and no virtual environment: it builds in place for the GPU it finds, with the torch
it runs under, and writes benchmarks/results/<gpu>-<date>.json.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).parents[1]
PARTS = ("build", "tests", "sanitize", "bench")


def run(*command: str, **env: str) -> int:
    print("$", " ".join(command), flush=True)
    return subprocess.run(command, cwd=ROOT, env={**os.environ, **env}).returncode


def build() -> int:
    major, minor = torch.cuda.get_device_capability()
    return run(
        sys.executable,
        "setup.py",
        "-q",
        "build_ext",
        "--inplace",
        FASTCV_CUDA="1",
        TORCH_CUDA_ARCH_LIST=f"{major}.{minor}",
    )


def tests() -> int:
    return run(sys.executable, "-m", "pytest", "-q", "-m", "cuda", "tests/ops")


def sanitize() -> int:
    """Every tool of compute-sanitizer over every kernel, on small inputs."""
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer is None:
        sys.exit("fastcv: compute-sanitizer was not found: it comes with the CUDA toolkit.")
    failed = 0
    for tool in ("memcheck", "racecheck", "initcheck", "synccheck"):
        failed |= run(
            sanitizer,
            f"--tool={tool}",
            "--error-exitcode=1",
            sys.executable,
            "tests/run_small_on_cuda.py",
            PYTORCH_NO_CUDA_MEMORY_CACHING="1",
            PYTHONPATH=str(ROOT),
        )
    return failed


def bench() -> int:
    output = ROOT / "build" / "gpu.json"
    output.parent.mkdir(exist_ok=True)
    failed = run(
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "benchmarks",
        "-m",
        "cuda",
        "--benchmark-only",
        f"--benchmark-json={output}",
    )
    if failed:
        return failed
    result = json.loads(output.read_text())
    name = re.sub(r"[^a-z0-9]+", "-", torch.cuda.get_device_name().lower()).strip("-")
    result["machine_info"]["gpu"] = torch.cuda.get_device_name()
    target = ROOT / "benchmarks" / "results" / f"{name}-{datetime.date.today()}.json"
    target.parent.mkdir(exist_ok=True)
    temporary = target.with_suffix(".tmp")
    temporary.write_text(json.dumps(result, indent=1))
    temporary.replace(target)
    print(f"written to {target}")
    return 0


def main(wanted: list[str]) -> int:
    unknown = set(wanted) - set(PARTS)
    if unknown:
        sys.exit(
            f"fastcv: PART must be one of {', '.join(PARTS)}, got {', '.join(sorted(unknown))}."
        )
    if not torch.cuda.is_available():
        sys.exit(
            f"fastcv: torch {torch.__version__} sees no GPU here: `make gpu` needs an NVIDIA GPU, "
            "its driver, nvcc and a CUDA build of torch."
        )
    parts = {"build": build, "tests": tests, "sanitize": sanitize, "bench": bench}
    for name in wanted or PARTS:
        if parts[name]():
            print(f"fastcv: {name} failed")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
