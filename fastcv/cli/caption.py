"""``fastcv caption``: a sentence for each picture."""

from __future__ import annotations

import argparse
from typing import Any

from fastcv.cli import predict
from fastcv.cli._arguments import (
    add_font_argument,
    add_inputs_argument,
    add_json_argument,
    check_font,
)
from fastcv.cli._errors import UserError
from fastcv.cli._model import add_device_argument, add_model_arguments, load
from fastcv.cli._options import add_option
from fastcv.models import _tasks
from fastcv.models._tasks import positive

HELP = "a sentence for each picture"
(TASK,) = (task for task in _tasks.TASKS if task.name == "captioning")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Says what is on each picture. A picture that cannot be read is reported, the others are "
        "done, and the exit status is 1."
    )
    add_inputs_argument(parser)
    add_model_arguments(parser)
    way = parser.add_mutually_exclusive_group()
    way.add_argument(
        "--beam",
        type=positive,
        metavar="N",
        help="beam search with N sentences at a time; by default the most probable word each time",
    )
    way.add_argument(
        "--sample", type=int, metavar="SEED", help="draw words by their probability, with this seed"
    )
    parser.add_argument(
        "--max-words", type=positive, metavar="N", help="a caption ends there (default 50)"
    )
    parser.add_argument(
        "--out", metavar="PATH", help="pictures with captions: a file, or a folder for several"
    )
    for files in TASK.files:
        add_option(parser, files.option)
    add_font_argument(parser)
    add_json_argument(parser, "captions, words and alternatives as one JSON list")
    parser.add_argument("--batch-size", type=positive, default=8, metavar="N", help="default 8")
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    from fastcv.images import find_images

    if args.font is not None and args.out is None:
        raise UserError("--font is of drawings: name a place for them with --out")
    check_font(args.font)
    return predict.run_here(args, find_images(args.inputs), load_captioner)


def load_captioner(args: argparse.Namespace, device: str) -> tuple[Any, dict[str, Any]]:
    """The model, and what its ``predict`` is called with.

    Raises:
        UserError: the model is no captioner, or has no attention to show.
    """
    model: Any = load(args.model, args.weights, device)
    if not TASK.has_model(model):
        raise UserError(f"{model.model_name} is no captioner: `fastcv models --task captioning`")
    if args.attention is not None and not model.tells_attention:
        raise UserError(f"--attention: {model.model_name} does not look at places, it has none")
    options: dict[str, Any] = {}
    if args.beam is not None:
        options = {"method": "beam", "beam_size": args.beam}
    if args.sample is not None:
        options = {"method": "sample", "seed": args.sample}
    if args.max_words is not None:
        options["max_words"] = args.max_words
    return model, options
