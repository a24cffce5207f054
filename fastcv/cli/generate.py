"""``fastcv generate``: pictures that a generator makes."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fastcv.cli._errors import UserError
from fastcv.cli._model import add_device_argument, add_model_arguments, load
from fastcv.models._tasks import positive

if TYPE_CHECKING:
    from fastcv.models import Model

HELP = "pictures that a generator makes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument("--n", type=positive, default=16, metavar="N", help="how many (default 16)")
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="others give other pictures (default 0)"
    )
    parser.add_argument(
        "--label",
        metavar="L",
        help="of a conditional model: the class to make, by name; by default all in turn",
    )
    parser.add_argument("--out", default="samples.png", metavar="FILE", help="an image or a .json")
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    from fastcv.models.generative._generator import Generator

    if args.seed < 0:
        raise UserError(f"--seed must be 0 or more, got {args.seed}")
    model = load(args.model, args.weights, args.device)
    if not isinstance(model, Generator):
        raise UserError(f"{model.model_name} is no generator: `fastcv models --task generation`")
    made = model.sample(args.n, labels=label_named(model, args.label), seed=args.seed)
    made.save(args.out)
    print(f"{made}: {args.out}")
    return 0


def label_named(model: Model, name: str | None) -> int | None:
    """The label of a class's name.

    Raises:
        UserError: the model has no such class.
    """
    if name is None:
        return None
    if not model.classes:
        raise UserError(f"--label {name}: {model.model_name} cannot be asked for classes")
    if name not in model.classes:
        raise UserError(f"--label must be one of {', '.join(model.classes)}, got {name!r}")
    return model.classes.index(name)
