"""``fastcv train``: a recipe of the project, or a model on annotated pictures of one's own."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from typing import Any

from fastcv.cli._arguments import add_font_argument
from fastcv.cli._errors import UserError
from fastcv.cli._metrics import print_metrics
from fastcv.cli._model import add_device_argument, find_device
from fastcv.cli._options import add_option
from fastcv.models import _tasks
from fastcv.models._tasks import Option, positive

HELP = "train by a recipe, or on pictures of your own"
CHAPTER = "Models"

OWN = ("val", "val_fraction", "batch_size", "lr", "size", "freeze", "augment", "font")
"""Arguments that only training on one's own pictures has, by the names of ``train_on``."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Train by a recipe of the project: data, model and schedule. Or train a model on annotated "
        "pictures of your own: --model NAME and one of --coco, --voc, --folder, --masks. Ctrl-C "
        "keeps what is done: the same command goes on, with --resume on pictures of your own."
    )
    parser.add_argument(
        "recipe", nargs="?", help="without one, those there are and what they reach"
    )
    parser.add_argument("--out", metavar="FOLDER", help="default runs/RECIPE or runs/MODEL")
    parser.add_argument(
        "--epochs", type=positive, metavar="N", help="default: the recipe's, or by the pictures"
    )
    parser.add_argument("--seed", type=int, default=0)
    add_device_argument(parser)
    own = parser.add_argument_group("on pictures of your own")
    own.add_argument("--model", metavar="NAME", help="a name out of `fastcv models`")
    own.add_argument(
        "--weights",
        metavar="W",
        help="to begin with: a published name or default, a file or a URL; what does not fit your "
        "classes starts at random. A file that fastcv wrote needs no --model",
    )
    data = own.add_mutually_exclusive_group()
    for option in _data_options().values():
        add_option(data, option)
    own.add_argument(
        "--val", nargs="+", metavar="WHERE", help="the pictures to validate on, named as the others"
    )
    own.add_argument(
        "--val-fraction", type=float, metavar="X", help="else that part of the others (0.1)"
    )
    own.add_argument("--batch-size", type=positive, metavar="N", help="default: by the pictures")
    own.add_argument("--lr", type=float, metavar="X", help="default: by the batch size")
    own.add_argument(
        "--size",
        type=positive,
        metavar="N",
        help="pixels: a detector's shorter side, a classifier's square, a segmenter's squares",
    )
    own.add_argument(
        "--freeze", nargs="+", metavar="PART", help="parts of the model to keep, such as backbone"
    )
    own.add_argument("--augment", choices=_ways_to_augment(), help="default: the first")
    add_font_argument(own)
    own.add_argument("--resume", action="store_true", help="go on with the run in --out")


def run(args: argparse.Namespace) -> int:
    options = {name: value for name in OWN if (value := getattr(args, name)) is not None}
    flags = {name: getattr(args, name) for name in ("model", "weights", *_names())}
    own = {**options, **{name: value for name, value in flags.items() if value is not None}}
    if args.recipe is not None:
        if own or args.resume:
            name = next(iter(own), "resume").replace("_", "-")
            raise UserError(
                f"--{name} is of training on your own pictures, and {args.recipe} is a recipe: "
                "leave one of them out (a recipe goes on by itself)"
            )
        return _by_recipe(args)
    if not own:
        print_recipes()
        return 0
    return _on_own_pictures(args, own)


def _names() -> list[str]:
    return [option.name for option in _data_options().values()]


def _data_options() -> dict[str, Option]:
    """By flag, the ways to name pictures that some task can be trained on."""
    return {
        data.option.flag: data.option
        for task in _tasks.TASKS
        for data in task.data
        if data.own is not None
    }


def _ways_to_augment() -> list[str]:
    ways = [way for task in _tasks.TASKS if task.training for way in task.training.augment]
    return list(dict.fromkeys(ways))


def _by_recipe(args: argparse.Namespace) -> int:
    from fastcv import recipes

    recipe = recipes.get(args.recipe)
    given = {} if args.epochs is None else {"epochs": args.epochs}
    device = str(find_device(args.device))
    out = args.out or f"runs/{args.recipe}"
    metrics = recipe.train(out, seed=args.seed, device=device, **given)
    print_metrics(metrics)
    return 0


def _on_own_pictures(args: argparse.Namespace, own: dict[str, Any]) -> int:
    if not any(name in own for name in _names()):
        raise UserError(f"which pictures? pass one of {', '.join(_data_options())}")
    from fastcv.learn import train_on

    device = str(find_device(args.device))
    try:
        trained = train_on(
            own.pop("model", None),
            **own,
            epochs=args.epochs,
            device=device,
            out=args.out,
            seed=args.seed,
            resume=args.resume,
        )
    except SystemExit as stop:  # Ctrl-C: fit has saved the run
        if isinstance(stop.code, str):
            print(f"fastcv train: {stop.code}", file=sys.stderr)
        return 130
    if trained.metrics:  # on one of several processes
        print_metrics(trained.metrics)
        print(f"curves, metrics and predictions: {trained.weights.parent}{os.sep}")
        weights = shlex.quote(str(trained.weights))
        print(f"now: fastcv predict PICTURES --weights {weights} --out drawn/")
    return 0


def print_recipes() -> None:
    from fastcv import recipes

    for chapter, names in recipes.by_chapter().items():
        print(f"{chapter}:")
        for recipe in map(recipes.get, names):
            print(f"  {recipe.name:24} {recipe.summary}")
            print(f"  {'':24} {recipe.level}")
