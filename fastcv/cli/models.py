"""``fastcv models``: the names that --model takes."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("models", help="the models there are, and their weights")
    parser.add_argument("--task", help="only those of a task, such as detection")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from fastcv.models._registry import find_model, list_models

    for name in list_models(args.task):
        entry = find_model(name)
        print(f"{name:36} {entry.task:16} {', '.join(w.name for w in entry.weights)}".rstrip())
    return 0
