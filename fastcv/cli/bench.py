"""``fastcv bench``: the benchmarks of a source checkout, ours beside the peers."""

from __future__ import annotations

import argparse
import difflib
import subprocess
import sys
from pathlib import Path

from fastcv.cli._errors import UserError

HELP = "benchmarks against the peers (source checkout)"
CHAPTER = "Project"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as nms; all by default")


def run(args: argparse.Namespace) -> int:
    from fastcv._extras import need

    root = Path(__file__).parents[2]
    files = find_benchmarks(root / "benchmarks", args.names)
    need("pytest_benchmark", extra="bench")
    found = root / "build" / "bench.json"
    found.parent.mkdir(exist_ok=True)
    only = ["--benchmark-only", f"--benchmark-json={found}"]
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", *files, *only], cwd=root)
    if done.returncode == 0:
        report = [sys.executable, "benchmarks/report.py", str(found)]
        done = subprocess.run(report, cwd=root)
    return done.returncode


def find_benchmarks(folder: Path, names: list[str]) -> list[str]:
    """The files of those names, all by default.

    Raises:
        UserError: an installed package, which has no benchmarks, or a name of none.
    """
    there = {path.stem.removeprefix("bench_"): str(path) for path in folder.glob("bench_*.py")}
    if not there:
        raise UserError(
            "the benchmarks are not part of the installed package: clone the repository, install "
            "it with `pip install --no-build-isolation -e .`, and run this again"
        )
    for name in names:
        if name not in there:
            near = difflib.get_close_matches(name, there, n=1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(sorted(there))}"
            raise UserError(f"there is no benchmark {name!r}: {hint}")
    return [there[name] for name in names or sorted(there)]
