"""``fastcv superres``: pictures several times as high and wide."""

from __future__ import annotations

import argparse

from fastcv.cli import translate
from fastcv.cli._errors import UserError
from fastcv.cli._model import load

HELP = "pictures several times as large"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    translate.add_arguments(parser)
    parser.description = (
        "Makes each picture several times as high and wide; large ones in parts, with --tile. A "
        "picture that cannot be read is reported, the others are done, and the exit status is 1."
    )


def run(args: argparse.Namespace) -> int:
    from fastcv.models.generative._translator import ImageTranslator

    model = load(args.model, args.weights, args.device)
    if not isinstance(model, ImageTranslator) or model.scale == 1:
        raise UserError(f"{model.model_name} makes no picture larger: such as srresnet_x4 does")
    return translate.write_pictures(model, args)
