"""What the commands share: pictures in, drawings and JSON out."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fastcv.cli._errors import UserError


def add_inputs_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="image, folder or quoted pattern"
    )


def add_json_argument(parser: argparse.ArgumentParser, help: str) -> None:
    parser.add_argument("--json", metavar="FILE", help=help)


def add_font_argument(parser: Any) -> None:
    parser.add_argument("--font", metavar="FILE", help="of the names in drawings: a .ttf or .otf")


def check_font(font: str | None) -> None:
    """Before any work is done.

    Raises:
        ValueError: it is no font file.
    """
    if font is not None:
        from fastcv.draw.typeface import Typeface

        Typeface(12, font)


def check_json(path: str | None) -> None:
    """Before any work is done.

    Raises:
        UserError: it is a folder.
    """
    if path is not None and Path(path).is_dir():
        raise UserError(f"--json must be a file, and {path} is a folder")


def write_json(path: str | None, value: Any) -> None:
    """Written whole or not at all; nothing where no path was given."""
    from fastcv._files import replacing
    from fastcv._json import to_json

    if path is not None:
        with replacing(Path(path)) as temporary:
            temporary.write_text(to_json(value), "utf-8")
