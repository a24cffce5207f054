"""``fastcv models``: the names that --model takes."""

from __future__ import annotations

import argparse

HELP = "the models there are, and their weights"
CHAPTER = "Models"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", help="only those of a task, such as detection")


def run(args: argparse.Namespace) -> int:
    from fastcv.models._registry import find_model, list_models

    for name in list_models(args.task):
        entry = find_model(name)
        print(f"{name:36} {entry.task:16} {', '.join(w.name for w in entry.weights)}".rstrip())
    return 0
