"""``fastcv translate``: pictures in, pictures out."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from fastcv.cli._arguments import add_inputs_argument
from fastcv.cli._errors import UserError
from fastcv.cli._model import add_device_argument, add_model_arguments, load
from fastcv.cli._options import add_option, given, options_for
from fastcv.cli.predict import plan_files
from fastcv.models import _tasks

if TYPE_CHECKING:
    from fastcv.models import Model

HELP = "pictures of one kind into pictures of another"
(TASK,) = (task for task in _tasks.TASKS if task.name == "translation")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Turns each picture into one of another kind. A picture that cannot be read is reported, "
        "the others are done, and the exit status is 1."
    )
    add_inputs_argument(parser)
    add_model_arguments(parser)
    parser.add_argument(
        "--out", required=True, metavar="PATH", help="a picture, or a folder for several"
    )
    for option in TASK.predict_options:
        add_option(parser, option)
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    model = load(args.model, args.weights, args.device)
    if not TASK.has_model(model):
        raise UserError(f"{model.model_name} is no translator: `fastcv models --task translation`")
    return write_pictures(model, args)


def write_pictures(model: Model, args: argparse.Namespace) -> int:
    """What a translator makes of each input; the exit status.

    Other commands of translators, with the arguments of this one, end with it too.
    """
    from fastcv.images import find_images

    pictures = find_images(args.inputs)
    files = plan_files(pictures, "--out", args.out)
    options = options_for(model, given(args, TASK.predict_options))
    broken = 0
    for path, made in model.predict_iter(pictures, on_error="yield", **options):
        if isinstance(made, Exception):
            broken += 1
            print(f"fastcv {args.command}: {made}", file=sys.stderr)
            continue
        made.save(files[path])
        print(f"{path}: {made}: {files[path]}")
    return 0 if not broken else 2 if broken == len(pictures) else 1
