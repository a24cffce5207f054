"""Everything a GPU can show: `make gpu [PART=build|tests|sanitize|bench] [LIMIT=300]`.

Needs no network and no virtual environment: it builds in place for the GPU it finds, with the torch
it runs under. What it finds is written after each part to benchmarks/results/<gpu>-<date>.json: the
device, versions and commit; which tests passed; what compute-sanitizer said; every median. A part
that takes longer than LIMIT seconds is stopped, and what it found by then is kept.
"""

from __future__ import annotations

import datetime
import importlib.util
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "build"
TOOLS = ("memcheck", "racecheck", "initcheck", "synccheck")
DTYPES = ("float64", "float32", "float16", "bfloat16")
TESTS = [  # all that use a GPU, none that needs more than torch, torchvision and what pytest needs
    "tests/augment",
    "tests/models/detection/test_every_detector.py",
    "tests/models/test_on_cuda.py",
    "tests/models/test_model.py",
    "tests/ops",
]
TRAINING = "tests/learn/test_on_cuda.py"  # needs lightning as well
WORKERS = 12  # of pytest-xdist, where it is installed: the oracles' time on the CPU is most of it

LIMIT, STOPPED = float(os.environ.get("LIMIT") or "inf"), -15  # seconds; an exit status
GRACE = 20.0  # seconds to tell what was found so far

Part = dict[str, Any]


def start(*command: str, log: Path | None = None, **env: str) -> subprocess.Popen[bytes]:
    """A process that SIGINT reaches, also where this one runs in the background and ignores it."""
    print("$", " ".join(command), *(() if log is None else (">", log)), flush=True)
    with nullcontext() if log is None else log.open("wb") as out:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **env},
            stdout=out,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )


def run(*command: str, log: Path | None = None, **env: str) -> int:
    return end(start(*command, log=log, **env))


def end(process: subprocess.Popen[bytes], began: float | None = None) -> int:
    """Its exit status; STOPPED if it took longer than the limit."""
    left = LIMIT - (0 if began is None else time.monotonic() - began)
    try:
        return process.wait(max(left, 1))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # pytest says then why tests failed
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    return STOPPED


def pytest(*arguments: str, log: Path | None = None, **env: str) -> int:
    return run(sys.executable, "-m", "pytest", "-m", "cuda", *arguments, log=log, **env)


def build() -> Part:
    """The extension, in place, for the GPU that is here."""
    major, minor = torch.cuda.get_device_capability()
    code = run(
        sys.executable,
        "setup.py",
        "-q",
        "build_ext",
        "--inplace",
        FASTCV_CUDA="1",
        TORCH_CUDA_ARCH_LIST=f"{major}.{minor}",
    )
    return {"ok": code == 0}


def tests() -> Part:
    """Every op and every kind of model against the CPU."""
    log = BUILD / "gpu-tests.log"
    parallel, env = [], {}
    if importlib.util.find_spec("xdist"):
        parallel = ["-n", str(WORKERS), "--dist", "loadgroup"]
        env = {"OMP_NUM_THREADS": "1"}
    training = [TRAINING] if importlib.util.find_spec("lightning") else []
    code = pytest("-v", "--color=no", *TESTS, *training, *parallel, log=log, **env)
    found = counts(log.read_text(errors="replace"))
    found["left_out"] = [] if training else [TRAINING]
    print(f"{found['passed']} passed; failed: {found['failed']}; status {code}", flush=True)
    return {"ok": code == 0, "status": code, **found}


# "tests/a.py::test_b[c] PASSED [ 1%]", and from a worker of xdist "[gw0] [ 1%] PASSED tests/..."
OUTCOME = re.compile(
    r"^(?:\[gw\d+\] \[ *\d+%\] (?P<first>PASSED|FAILED|ERROR|SKIPPED) (?P<name>.*?)"
    r"|(?P<other>\S+::.*?) (?P<last>PASSED|FAILED|ERROR|SKIPPED)(?: \(.*\))? +\[ *\d+%\]) *$",
    re.M,
)


def counts(log: str) -> Part:
    """How many tests passed by what pytest -v wrote so far, and the names of those that did not."""
    names: dict[str, list[str]] = {"PASSED": [], "FAILED": [], "ERROR": [], "SKIPPED": []}
    for m in OUTCOME.finditer(log):
        names[m["first"] or m["last"]].append(m["name"] or m["other"])
    return {
        "passed": len(names["PASSED"]),
        "failed": names["FAILED"] + names["ERROR"],
        "skipped": names["SKIPPED"],
    }


def sanitize() -> Part:
    """Every tool of compute-sanitizer over every kernel, on small inputs."""
    sanitizer = shutil.which("compute-sanitizer")
    if sanitizer is None:
        sys.exit("fastcv: compute-sanitizer was not found: it comes with the CUDA toolkit.")
    # initcheck needs to see what other kernels wrote, though not how cuDNN's write to each other;
    # the rest is of ours alone.
    which = {"initcheck": ["--kernel-name-exclude=kns=cudnn"]}
    began = time.monotonic()
    running = {
        f"{tool}, {dtype}": start(
            sanitizer,
            f"--tool={tool}",
            *which.get(tool, ["--kernel-name=kns=fastcv"]),
            "--error-exitcode=1",
            sys.executable,
            "tests/run_small_on_cuda.py",
            dtype,
            PYTORCH_NO_CUDA_MEMORY_CACHING="1",
            CUDA_LAUNCH_BLOCKING="1",  # without a cache, memory is freed while cuDNN may use it
            PYTHONPATH=os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        )
        for tool, dtype in itertools.product(TOOLS, DTYPES)
    }
    codes = {what: end(process, began) for what, process in running.items()}
    return {"ok": not any(codes.values()), "exit_codes": codes}


def bench() -> Part:
    """The benchmarks of bench_cuda.py."""
    output = BUILD / "gpu-bench.json"
    output.unlink(missing_ok=True)
    code = pytest(
        "-q", "benchmarks/bench_cuda.py", "--benchmark-only", f"--benchmark-json={output}"
    )
    if not output.exists() or output.stat().st_size == 0:  # nothing was measured
        return {"ok": False}
    measured = json.loads(output.read_text())["benchmarks"]
    return {"ok": code == 0, "rows": [b["extra_info"] for b in measured]}


PARTS: dict[str, Callable[[], Part]] = {
    "build": build,
    "tests": tests,
    "sanitize": sanitize,
    "bench": bench,
}


def machine() -> dict[str, Any]:
    """What the numbers are of."""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        import torchvision

        peer = torchvision.__version__
    except ImportError:
        peer = None
    return {
        "gpu": torch.cuda.get_device_name(),
        "driver": first_line(query),
        "cuda": torch.version.cuda,
        "torch": torch.__version__,
        "torchvision": peer,
        "commit": first_line(["git", "describe", "--always", "--dirty"]),
    }


def first_line(command: list[str]) -> str | None:
    """What a command says; None where it is missing or fails."""
    try:
        out = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    except (OSError, subprocess.CalledProcessError):
        return None
    return out.strip().split("\n")[0]


def results_file(gpu: str) -> Path:
    name = re.sub(r"[^a-z0-9]+", "-", gpu.lower()).strip("-")
    return ROOT / "benchmarks" / "results" / f"{name}-{datetime.date.today()}.json"


def keep(target: Path, about: dict[str, Any], name: str, part: Part) -> None:
    """Put a part into the file; those of another commit or machine go."""
    old = json.loads(target.read_text()) if target.exists() else {}
    parts = old["parts"] if old.get("machine") == about else {}
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_suffix(".tmp")
    temporary.write_text(json.dumps({"machine": about, "parts": {**parts, name: part}}, indent=1))
    temporary.replace(target)


def main(parts: list[str]) -> int:
    unknown = set(parts) - set(PARTS)
    if unknown:
        sys.exit(
            f"fastcv: PART must be one of {', '.join(PARTS)}, got {', '.join(sorted(unknown))}."
        )
    if not torch.cuda.is_available():
        sys.exit(
            f"fastcv: torch {torch.__version__} sees no GPU here: `make gpu` needs an NVIDIA GPU, "
            "its driver, nvcc and a CUDA build of torch."
        )
    about = machine()
    target = results_file(about["gpu"])
    BUILD.mkdir(exist_ok=True)
    failed = []
    for name in parts or PARTS:
        began = time.monotonic()
        part = PARTS[name]()
        keep(target, about, name, {**part, "seconds": round(time.monotonic() - began, 1)})
        print(f"fastcv: {name} {'passed' if part['ok'] else 'failed'}: {target}", flush=True)
        if not part["ok"]:
            failed.append(name)
        if failed == ["build"]:
            break
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
