"""``fastcv speak``: a text as sound."""

from __future__ import annotations

import argparse
from typing import Any

from fastcv.cli._errors import UserError
from fastcv.cli._model import add_device_argument, add_model_arguments, load
from fastcv.models import _tasks
from fastcv.models._tasks import positive

HELP = "a text as sound"
(TASK,) = (task for task in _tasks.TASKS if task.name == "speech")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Says a text: English, with phones in braces where it matters, or the units that the "
        "weights were trained with, with spaces between them."
    )
    parser.add_argument("text", metavar="TEXT", help='in quotes: "Hello, world"')
    add_model_arguments(parser)
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="others say it a little else (default 0)"
    )
    parser.add_argument(
        "--max-steps", type=positive, default=1000, metavar="N", help="frames at most (1000)"
    )
    parser.add_argument(
        "--out",
        default="speech.wav",
        metavar="FILE",
        help="a .wav; or an image of sound and alignment, or a .json",
    )
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    if args.seed < 0:
        raise UserError(f"--seed must be 0 or more, got {args.seed}")
    model: Any = load(args.model, args.weights, args.device)
    if not TASK.has_model(model):
        raise UserError(f"{model.model_name} does not speak: `fastcv models --task speech`")
    said = model.speak(args.text, seed=args.seed, max_steps=args.max_steps)
    said.save(args.out)
    print(f"{said}: {args.out}")
    return 0
