"""``fastcv predict``: pictures in; a line each, drawings and JSON out."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastcv.cli._errors import UserError
from fastcv.cli._model import add_device_argument, add_model_arguments, add_task_argument, load
from fastcv.cli._options import (
    SCORE_THRESHOLD,
    add_segmenter_arguments,
    allow_large_pictures,
    check_options,
    positive,
    segmenter_options,
)

if TYPE_CHECKING:
    from torch import Tensor

    from fastcv.models import System


def add_parser(commands: Any) -> None:
    parser = commands.add_parser(
        "predict",
        help="what a model finds in pictures",
        description="What a model finds in pictures: a line for each, drawings with --out, numbers "
        "with --json. A picture that cannot be read is reported, the others are done, and the "
        "exit status is 1.",
    )
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="image, folder or quoted pattern"
    )
    add_task_argument(parser)
    add_model_arguments(parser)
    parser.add_argument("--out", metavar="PATH", help="drawings: a file, or a folder for several")
    parser.add_argument("--json", metavar="FILE", help="all results as one JSON list")
    parser.add_argument("--batch-size", type=positive, default=1, metavar="N")
    parser.add_argument(
        "--score-threshold",
        type=float,
        metavar="X",
        help=f"leave out what is less sure (default {SCORE_THRESHOLD})",
    )
    add_device_argument(parser)
    add_segmenter_arguments(parser)
    parser.add_argument(
        "--labels", metavar="PATH", help="segmentation: label maps as PNGs with a palette"
    )
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="ray: many processes or machines; --out is then a folder of Parquet files, and a "
        "second run does only what is left",
    )
    parser.add_argument("--workers", type=positive, metavar="N", help="processes (--engine ray)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from fastcv.images import find_images
    from fastcv.models.segmentation._segmenter import Segmenter

    files = find_images(args.inputs)
    if args.engine == "ray":
        from fastcv.cli import _ray

        return _ray.run(args, files)
    if args.workers is not None:
        raise UserError("--workers needs --engine ray")
    drawings = plan_files(files, "--out", args.out)
    label_maps = plan_files(files, "--labels", args.labels, suffix=".png")
    if args.json is not None and Path(args.json).is_dir():
        raise UserError(f"--json must be a file, and {args.json} is a folder")
    model = load(args.model, args.weights, args.device, args.task)
    options = options_for(model, given_options(args))
    if args.labels is not None and not isinstance(model, Segmenter):
        raise UserError(f"--labels: {model.model_name} does not segment, it has no label maps")
    rows: list[dict[str, Any]] = []
    try:
        for start in range(0, len(files), args.batch_size):
            batch = files[start : start + args.batch_size]
            rows += _one_batch(model, batch, options, drawings, label_maps)
    except KeyboardInterrupt:
        print(f"\nfastcv predict: stopped, {len(rows)} of {len(files)} done", file=sys.stderr)
        return 130
    finally:
        if args.json is not None and rows:
            _write_json(Path(args.json), rows)
    broken = sum("error" in row for row in rows)
    if broken and len(files) > 1:
        print(f"fastcv predict: {broken} of {len(files)} could not be read", file=sys.stderr)
    return 0 if not broken else 2 if broken == len(files) else 1


def given_options(args: argparse.Namespace) -> dict[str, Any]:
    """The options of ``predict`` among the arguments, those that were given."""
    threshold = args.score_threshold
    return segmenter_options(args) | ({} if threshold is None else {"score_threshold": threshold})


def options_for(model: System, given: dict[str, Any]) -> dict[str, Any]:
    """What ``predict`` of this model is called with."""
    takes = model.predict_options()
    if "score_threshold" in given and "score_threshold" not in takes:
        raise UserError(f"--score-threshold: {model.model_name} scores every class, it has none")
    check_options(model, given)
    allow_large_pictures(given)
    options = {"score_threshold": SCORE_THRESHOLD} if "score_threshold" in takes else {}
    options |= {"keep_scores": False} if "keep_scores" in takes else {}
    options |= {"progress": True} if "tile" in given else {}
    return options | given


def read_all(files: list[Path]) -> tuple[dict[Path, Tensor], dict[Path, str]]:
    """The pictures that can be read, and a sentence for each of the others."""
    from fastcv.images import read_image

    images, errors = {}, {}
    for path in files:
        try:
            images[path] = read_image(path)
        except (ValueError, OSError) as error:
            errors[path] = str(error)
    return images, errors


def _one_batch(
    model: System,
    files: list[Path],
    options: dict[str, Any],
    drawings: dict[Path, Path],
    label_maps: dict[Path, Path],
) -> list[dict[str, Any]]:
    images, errors = read_all(files)
    found = model.predict(list(images.values()), batch_size=len(files), **options)
    results = dict(zip(images, found, strict=True))
    rows: list[dict[str, Any]] = []
    for path in files:
        if path in errors:
            print(f"fastcv predict: {errors[path]}", file=sys.stderr)
            rows.append({"file": str(path), "error": errors[path]})
            continue
        result = results[path]
        result.source = str(path)
        print(f"{path}: {result}")
        if path in drawings:
            result.save(drawings[path], images[path])
        if path in label_maps:
            result.save_labels(label_maps[path])
        rows.append(result.to_dict())
    return rows


def plan_files(
    files: list[Path], option: str, out: str | None, suffix: str | None = None
) -> dict[Path, Path]:
    """What to write for each picture, all known to be possible before any work is done.

    In a folder they have the pictures' names; where two have the same, also their folders'.

    Args:
        files: the pictures.
        option: the argument's name, for what is said of it.
        out: its value: a file or a folder.
        suffix: of what is written; by default the picture's own.
    """
    from fastcv.images import SUFFIXES

    if out is None:
        return {}
    target = Path(out)
    suffixes = SUFFIXES if suffix is None else (suffix,)
    if not target.is_dir() and target.suffix.lower() in suffixes:
        if len(files) > 1:
            raise UserError(f"{option} {out} is one file for {len(files)} images: name a folder")
        plan = {files[0]: target}
    elif target.exists() and not target.is_dir():
        raise UserError(f"{option} {out} is a file that is no image: name a .png or a folder")
    elif not target.is_dir() and target.suffix.lower() in SUFFIXES:
        raise UserError(f"{option} {out} must be a {suffix} or a folder")
    else:
        names = {path: _with(suffix, Path(path.name)) for path in files}
        if max(Counter(names.values()).values()) > 1:
            top = os.path.commonpath([path.absolute().parent for path in files])
            names = {path: _with(suffix, path.absolute().relative_to(top)) for path in files}
        twice, times = Counter(names.values()).most_common(1)[0]
        if times > 1:
            raise UserError(f"{option} {out}: {times} images would be written to {twice}")
        plan = {path: target / name for path, name in names.items()}
    originals = {path.resolve() for path in files}
    for path in plan.values():
        if path.resolve() in originals:
            raise UserError(
                f"{option} {out} would overwrite the image {path}: choose another place"
            )
    return plan


def _with(suffix: str | None, path: Path) -> Path:
    return path if suffix is None else path.with_suffix(suffix)


def _write_json(path: Path, rows: list[dict[str, Any]]) -> None:
    from fastcv._files import replacing

    with replacing(path) as temporary:
        temporary.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
