"""``fastcv imagine``: pictures of sentences."""

from __future__ import annotations

import argparse
from typing import Any

from fastcv.cli._arguments import add_font_argument, check_font
from fastcv.cli._errors import UserError
from fastcv.cli._model import add_device_argument, add_model_arguments, load
from fastcv.models import _tasks
from fastcv.models._tasks import positive

HELP = "pictures of a sentence"
(TASK,) = (task for task in _tasks.TASKS if task.name == "text_to_image")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Makes pictures that show what a sentence says, a row for each sentence."
    parser.add_argument(
        "texts", nargs="+", metavar="TEXT", help='a sentence in quotes: "a red seven on gravel"'
    )
    add_model_arguments(parser)
    parser.add_argument(
        "-n", type=positive, default=8, metavar="N", help="pictures of each (default 8)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="others give other pictures (default 0)"
    )
    parser.add_argument("--out", default="imagined.png", metavar="FILE", help="an image or a .json")
    add_font_argument(parser)
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    check_font(args.font)
    if args.seed < 0:
        raise UserError(f"--seed must be 0 or more, got {args.seed}")
    model: Any = load(args.model, args.weights, args.device)
    if not TASK.has_model(model):
        raise UserError(
            f"{model.model_name} makes no pictures of sentences: "
            "`fastcv models --task text_to_image`"
        )
    made = model.sample(args.texts, args.n, seed=args.seed)
    made.save(args.out, font=args.font)
    print(f"{made}: {args.out}")
    return 0
