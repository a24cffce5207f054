"""``fastcv demo``: a detector trained here and now, on pictures drawn for it."""

from __future__ import annotations

import argparse
from typing import Any


def add_parser(commands: Any) -> None:
    parser = commands.add_parser("demo", help="a detector at work, without any download")
    parser.add_argument("--out", metavar="FOLDER", default="demo", help="default demo")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from fastcv import recipes

    recipes.get("digits_detector").demo(args.out)
    return 0
