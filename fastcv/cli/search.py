"""``fastcv search``: pictures that match a text, texts that match a picture, and analogies."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcv.cli._arguments import (
    add_font_argument,
    add_json_argument,
    check_font,
    check_json,
    write_json,
)
from fastcv.cli._errors import UserError
from fastcv.cli._model import add_device_argument, add_model_arguments, load
from fastcv.models import _tasks
from fastcv.models._tasks import positive

if TYPE_CHECKING:
    from fastcv.results import Ranking

HELP = "pictures that match a text, or texts that match a picture"
(TASK,) = (task for task in _tasks.TASKS if task.name == "matching")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Ranks pictures for a text, or the lines of a file for a picture. With --minus and --plus "
        "it ranks pictures that are as the query is, but for one thing. What cannot be read or "
        "understood is reported, the others are ranked, and the exit status is 1."
    )
    parser.add_argument("query", metavar="QUERY", help='a text, such as "a red seven", or an image')
    parser.add_argument(
        "candidates",
        nargs="+",
        metavar="CANDIDATE",
        help="image, folder or quoted pattern; for an image one file of texts, a line each",
    )
    parser.add_argument("--minus", metavar="TEXT", help="of an image: what is to go")
    parser.add_argument("--plus", metavar="TEXT", help="of an image: what is to come instead")
    parser.add_argument("-k", type=positive, default=10, metavar="N", help="default 10")
    parser.add_argument("--out", metavar="FILE", help="a drawing of the query and the best")
    add_font_argument(parser)
    add_json_argument(parser, "also write the ranking as JSON")
    add_model_arguments(parser)
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    check(args)
    model: Any = load(args.model, args.weights, args.device)
    if not TASK.has_model(model):
        raise UserError(
            f"{model.model_name} embeds no texts: `fastcv models --task matching` lists who does"
        )
    left_out: list[str] = []
    found = find(model, args, left_out)
    for sentence in left_out:
        print(f"fastcv search: {sentence}", file=sys.stderr)
    for i, score in enumerate(found.scores.tolist()):
        print(f"{score:6.3f}  {found.name(i)}")
    write_json(args.json, found.to_dict())
    if args.out is not None:
        found.save(args.out, font=args.font)
    return 1 if left_out else 0


def find(model: Any, args: argparse.Namespace, left_out: list[str]) -> Ranking:
    """The ranking that was asked for; ``left_out`` gets a sentence for what is not ranked."""
    ranking: Ranking
    if is_picture(args.query) and args.plus is None:
        (ranking,) = model.predict(args.query, texts=texts_of(model, args, left_out), k=args.k)
        return ranking
    from fastcv.images import find_images

    pictures = find_images(args.candidates)
    gallery = model.index_images(pictures, on_error="note", progress=len(pictures) > 100)
    left_out += map(str, gallery.errors)
    if args.plus is None:
        (ranking,) = model.search(args.query, gallery, k=args.k)
        return ranking
    ranking = model.analogy(args.query, gallery=gallery, minus=args.minus, plus=args.plus, k=args.k)
    return ranking


def texts_of(model: Any, args: argparse.Namespace, left_out: list[str]) -> list[str]:
    """The lines of the file that the model understands."""
    from fastcv.language import read_texts

    texts = read_texts(args.candidates[0])
    known = [text for text in texts if understood(model, text)]
    if len(known) < len(texts):
        left_out.append(
            f"{args.candidates[0]}: {len(texts) - len(known)} of {len(texts)} lines have no word "
            "that the model knows and are left out"
        )
    if not known:
        raise UserError(left_out[0])
    return known


def understood(model: Any, text: str) -> bool:
    try:
        model.prepare_texts([text])
    except ValueError:
        return False
    return True


def is_picture(query: str) -> bool:
    """Whether a query names an image file, be it there or not."""
    from fastcv.images import SUFFIXES

    return Path(query).suffix.lower() in SUFFIXES


def check(args: argparse.Namespace) -> None:
    """Before any work is done.

    Raises:
        UserError: arguments that do not fit together, or a place that cannot be written to.
        FileNotFoundError: the query is a picture that is not there.
    """
    from fastcv.images import SUFFIXES

    check_json(args.json)
    check_font(args.font)
    if args.out is not None and Path(args.out).suffix.lower() not in SUFFIXES:
        raise UserError(f"--out must be an image file, such as ranking.png, got {args.out}")
    if args.font is not None and args.out is None:
        raise UserError("--font is of drawings: name a place for one with --out")
    if (args.minus is None) != (args.plus is None):
        raise UserError("--minus and --plus go together: pass both or none")
    picture = is_picture(args.query)
    if picture and not Path(args.query).is_file():
        raise FileNotFoundError(f"there is no image {args.query}")
    if args.plus is not None and not picture:
        raise UserError(f"--minus and --plus change an image, and {args.query!r} is a text")
    if picture and args.plus is None and len(args.candidates) > 1:
        raise UserError(
            "texts are ranked for an image: pass one file of them, or --minus and --plus and images"
        )
