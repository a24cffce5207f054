"""The command ``fastcv``, also ``python -m fastcv``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import fastcv


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a sub-command; returns the process's exit status."""
    parser = argparse.ArgumentParser(
        prog="fastcv", description=(fastcv.__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--version", action="version", version=f"fastcv {fastcv.__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("doctor", help="what is installed, built and here, and what does not fit")
    parser.parse_args(arguments)
    return doctor()


def doctor() -> int:
    """Print the report; 1 if something does not fit."""
    from fastcv.doctor import report

    lines, problems = report()
    print("\n".join(lines))
    for problem in problems:
        print(f"\nproblem: {problem}")
    if not problems:
        print("\nall well")
    return 1 if problems else 0
