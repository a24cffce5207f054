"""``fastcv explain neighbours``: the pictures of a folder that are nearest to one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcv.cli._errors import UserError
from fastcv.cli._model import add_device_argument, add_model_arguments, load

if TYPE_CHECKING:
    from torch import nn

    from fastcv.explain import Neighbours

SHOWN = 3  # of the files that could not be read


def add_topic(topics: Any) -> None:
    parser = topics.add_parser(
        "neighbours",
        help="the pictures of a folder that are nearest to one, by what a layer makes of them",
        description="The pictures of a folder that are nearest to one, by what a layer of a model "
        "makes of them; without a model by their pixels, at 32 x 32.",
    )
    parser.add_argument("folder", metavar="DIR", help="a folder of pictures, or a quoted pattern")
    parser.add_argument("--query", metavar="FILE", required=True, help="a picture")
    add_model_arguments(parser)
    parser.add_argument(
        "--layer", metavar="NAME", default="auto", help="by default the last maps, their means"
    )
    parser.add_argument("--k", type=int, default=5, metavar="K", help="how many; by default 5")
    parser.add_argument(
        "--metric", choices=("l2", "cosine"), default="l2", help="of the distance; by default l2"
    )
    parser.add_argument(
        "--index",
        metavar="FILE",
        help="a .safetensors: the folder's features are kept there, and read the next time; made "
        "anew where the folder's files are others",
    )
    parser.add_argument(
        "--out", metavar="FILE", default="neighbours.png", help="an image or a .json"
    )
    add_device_argument(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from fastcv.images import SUFFIXES
    from fastcv.models import ImageModel

    out = Path(args.out)  # before the folder is read
    if out.suffix.lower() not in (".json", *SUFFIXES):
        raise UserError(f"--out: path must end in .json or an image's suffix, got {out.name!r}")
    given = args.model is not None or args.weights is not None
    if args.index is not None and Path(args.index).suffix != ".safetensors":
        raise UserError(f"--index {args.index} must end in .safetensors")
    if not given and args.layer != "auto":
        raise UserError(f"--layer {args.layer} needs --model NAME or --weights FILE")
    model = load(args.model, args.weights, args.device) if given else None
    if model is not None and not isinstance(model, ImageModel):
        raise UserError(f"{model.model_name} does not take pictures")
    index = _index(args, model)
    found = index.query(args.query, min(args.k, len(index)))
    if len(found) > 1:
        raise UserError(f"--query must be one picture, and {args.query} are {len(found)}")
    found.save(args.out)
    for path, wrong in list(index.skipped.items())[:SHOWN]:
        print(f"left out: {wrong if path in wrong else f'{path}: {wrong}'}")
    if len(index.skipped) > SHOWN:
        print(f"left out: {len(index.skipped) - SHOWN} more files that cannot be read")
    paths = found.paths
    assert paths is not None
    for path, distance in zip(paths[0], found.distances[0].tolist(), strict=True):
        print(f"{distance:8.4g}  {path}")
    print(f"{args.query}: {found.indices.shape[1]} of {index}: {args.out}")
    return 0


def _index(args: argparse.Namespace, model: nn.Module | None) -> Neighbours:
    from fastcv.explain import Neighbours, neighbours
    from fastcv.images import find_images

    if args.index is not None and Path(args.index).exists():
        index = Neighbours.load(args.index, model)
        there = {str(path.absolute()) for path in find_images(args.folder)}
        known = {*(index.paths or ()), *index.skipped}
        asked = args.layer in ("auto", index.layer) and args.metric == index.metric
        if there == known and asked:
            return index
        why = "other files" if there != known else f"{index.layer} by {index.metric}"
        print(f"{args.index} is of {why}: made anew")
    index = neighbours(model, args.folder, layer=args.layer, metric=args.metric)
    if args.index is not None:
        index.save(args.index)
    return index
