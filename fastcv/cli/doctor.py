"""``fastcv doctor``: what is installed, built and here, and what does not fit."""

from __future__ import annotations

import argparse

HELP = "what is installed, built and here, and what does not fit"
CHAPTER = "Project"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def run(args: argparse.Namespace) -> int:
    """Print the report; 1 if something does not fit."""
    from fastcv.doctor import report

    lines, problems = report()
    print("\n".join(lines))
    for problem in problems:
        print(f"\nproblem: {problem}")
    if not problems:
        print("\nall well")
    return 1 if problems else 0
