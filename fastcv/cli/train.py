"""``fastcv train RECIPE``: a trained result of the project, made again."""

from __future__ import annotations

import argparse

from fastcv.cli._metrics import print_metrics
from fastcv.cli._model import add_device_argument, find_device
from fastcv.models._tasks import positive

HELP = "train by a recipe"
CHAPTER = "Models"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Train by a recipe: data, model and schedule. Ctrl-C keeps what is done; the same command "
        "goes on from there."
    )
    parser.add_argument(
        "recipe", nargs="?", help="without one, those there are and what they reach"
    )
    parser.add_argument("--out", metavar="FOLDER", help="default runs/RECIPE")
    parser.add_argument("--epochs", type=positive, metavar="N", help="default: the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    from fastcv import recipes

    if args.recipe is None:
        print_recipes()
        return 0
    recipe = recipes.get(args.recipe)
    given = {} if args.epochs is None else {"epochs": args.epochs}
    device = str(find_device(args.device))
    out = args.out or f"runs/{args.recipe}"
    metrics = recipe.train(out, seed=args.seed, device=device, **given)
    print_metrics(metrics)
    return 0


def print_recipes() -> None:
    from fastcv import recipes

    for chapter, names in recipes.by_chapter().items():
        print(f"{chapter}:")
        for recipe in map(recipes.get, names):
            print(f"  {recipe.name:24} {recipe.summary}")
            print(f"  {'':24} {recipe.level}")
