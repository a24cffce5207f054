"""``fastcv demo``: a detector trained here and now, on pictures drawn for it."""

from __future__ import annotations

import argparse

HELP = "a detector at work, without any download"
CHAPTER = "Models"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", metavar="FOLDER", default="demo", help="default demo")


def run(args: argparse.Namespace) -> int:
    from fastcv import recipes

    recipes.get("digits_detector").demo(args.out)
    return 0
