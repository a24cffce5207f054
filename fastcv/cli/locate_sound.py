"""``fastcv locate-sound``: where in a picture a sound comes from."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from fastcv.cli._arguments import add_json_argument, check_json, write_json
from fastcv.cli._errors import UserError
from fastcv.cli._model import add_device_argument, add_model_arguments, load
from fastcv.cli.predict import plan_files
from fastcv.models import _tasks

HELP = "where in a picture a sound comes from"
(TASK,) = (task for task in _tasks.TASKS if task.name == "sound_localization")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Maps where in a picture a sound comes from: the highest place in a line, the map as "
        "colours over the picture with --out, its numbers with --json."
    )
    parser.add_argument("picture", help="an image")
    parser.add_argument("sound", help="a sound file, such as a .wav")
    add_model_arguments(parser)
    parser.add_argument("--out", metavar="PATH", help="the drawing: an image file, or a folder")
    add_json_argument(parser, "the map as JSON")
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    from fastcv.images import find_images

    pictures = find_images([args.picture])
    if len(pictures) != 1:
        raise UserError(f"{args.picture} is {len(pictures)} pictures: name one")
    check_json(args.json)
    drawing = plan_files(pictures, "--out", args.out)
    model: Any = load(args.model, args.weights, args.device)
    if not TASK.has_model(model):
        raise UserError(
            f"{model.model_name} locates no sounds: `fastcv models --task sound_localization`"
        )
    (found,) = model.predict((pictures[0], Path(args.sound)))
    print(f"{pictures[0]}, {args.sound}: {found}")
    for path in drawing.values():
        found.save(path)
    write_json(args.json, found.to_dict())
    return 0
