"""The options of ``predict`` as arguments, for every command that predicts."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from fastcv.cli._errors import UserError

if TYPE_CHECKING:
    from fastcv.models import System

SCORE_THRESHOLD = 0.5  # for people who look; evaluation keeps lower scores


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"must be a whole number above 0, got {text!r}")
    return int(text)


def numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"must be numbers with commas between them, got {text!r}"
        ) from None


def add_segmenter_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("segmentation")
    group.add_argument(
        "--tile",
        type=positive,
        metavar="N",
        help="large pictures: in overlapping tiles of N x N pixels, a multiple of 32",
    )
    group.add_argument("--overlap", type=int, metavar="N", help="of tiles; by default a quarter")
    group.add_argument(
        "--scales", type=numbers, metavar="X,Y,..", help="average over sizes, such as 0.75,1,1.25"
    )
    group.add_argument(
        "--flip", action="store_true", default=None, help="average with the mirrored picture"
    )


def segmenter_options(args: argparse.Namespace) -> dict[str, Any]:
    """Those of ``add_segmenter_arguments`` that were given."""
    given = {name: getattr(args, name) for name in ("tile", "overlap", "scales", "flip")}
    return {name: value for name, value in given.items() if value is not None}


def check_options(model: System, options: dict[str, Any]) -> None:
    """Refuses what the model's ``predict`` does not take.

    Raises:
        UserError: the first such option.
    """
    takes = model.predict_options() if options else []
    for name in options:
        if name not in takes:
            option = f"--{name.replace('_', '-')}"
            raise UserError(f"{option}: predict of {model.model_name or 'the model'} has no {name}")


def allow_large_pictures(options: dict[str, Any]) -> None:
    """Pillow's limit is lifted for this process where tiles were asked for: pictures are large."""
    if "tile" in options:
        from PIL import Image

        Image.MAX_IMAGE_PIXELS = None
