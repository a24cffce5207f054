"""``fastcv listen``: the units of sounds, and the pictures that they are about."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from fastcv.cli._arguments import add_json_argument, check_json, write_json
from fastcv.cli._errors import UserError, sentence_for
from fastcv.cli._model import add_device_argument, add_model_arguments, load
from fastcv.models import _tasks
from fastcv.models._tasks import positive

HELP = "units of spoken captions, and the pictures they are about"
(TASK,) = (task for task in _tasks.TASKS if task.name == "spoken_images")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Writes what is said in sounds as learnt units, and with --images ranks pictures by how "
        "well they fit. What cannot be read is reported, the others are heard, and the exit status "
        "is 1."
    )
    parser.add_argument("sounds", nargs="+", metavar="SOUND", help="sound files, such as .wav")
    parser.add_argument(
        "--images",
        nargs="+",
        metavar="IMAGE",
        help="pictures to be ranked for each sound: image, folder or quoted pattern",
    )
    parser.add_argument("-k", type=positive, default=10, metavar="N", help="pictures, default 10")
    parser.add_argument(
        "--layer", type=positive, metavar="N", help="whose units, 2 or 3; by default the last"
    )
    add_json_argument(parser, "also write units and rankings as JSON")
    add_model_arguments(parser)
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    check_json(args.json)
    model: Any = load(args.model, args.weights, args.device)
    if not TASK.has_model(model):
        raise UserError(
            f"{model.model_name} hears no captions: `fastcv models --task spoken_images`"
        )
    books = model.audio_model.codebooks
    has_units = bool(books)
    if args.layer is not None and args.layer not in books:
        told = ", ".join(map(str, books)) or "none"
        raise UserError(f"--layer must be one that has a codebook ({told}), got {args.layer}")
    if not has_units and args.images is None:
        raise UserError(
            f"{model.model_name} has no codebooks, and so no units: pass --images to rank"
        )
    left_out: list[str] = []
    gallery = _gallery(model, args.images, left_out)
    results: list[dict[str, Any]] = []
    for sound in args.sounds:
        try:
            heard: dict[str, Any] = {"file": sound}
            if has_units:
                units = model.units(sound, layer=args.layer)
                heard |= units.to_dict()
                print(f"{sound}: {units.text}")
            if gallery is not None:
                (ranking,) = model.search(sound, gallery, k=args.k)
                heard["ranked"] = ranking.to_dict()["ranked"]
                if not has_units:
                    print(f"{sound}:")
                for i, score in enumerate(ranking.scores.tolist()):
                    print(f"{score:10.3f}  {ranking.name(i)}")
            results.append(heard)
        except (OSError, ValueError) as error:
            left_out.append(sentence_for(error) or str(error))
    for sentence in left_out:
        print(f"fastcv listen: {sentence}", file=sys.stderr)
    if not results:
        return 2
    write_json(args.json, results)
    return 1 if left_out else 0


def _gallery(model: Any, images: list[str] | None, left_out: list[str]) -> Any:
    """The pictures with their vectors; None of none."""
    if images is None:
        return None
    from fastcv.images import find_images

    pictures = find_images(images)
    gallery = model.index_images(pictures, on_error="note", progress=len(pictures) > 100)
    left_out += map(str, gallery.errors)
    return gallery
