"""``fastcv predict``: pictures in; a line each, drawings and JSON out. Clips: see ``_clips``."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fastcv.cli._arguments import (
    add_font_argument,
    add_inputs_argument,
    add_json_argument,
    check_font,
    check_json,
    write_json,
)
from fastcv.cli._errors import UserError
from fastcv.cli._model import (
    add_device_argument,
    add_model_arguments,
    add_task_argument,
)
from fastcv.cli._options import add_task_options, load_to_predict
from fastcv.models import _tasks
from fastcv.models._tasks import positive

HELP = "what a model finds in pictures and clips"
CHAPTER = "Models"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "What a model finds in pictures: a line for each, drawings with --out, numbers "
        "with --json. A picture that cannot be read is reported, the others are done, and the "
        "exit status is 1. Of a clip, a drawn video and a line of JSON for each frame."
    )
    add_inputs_argument(parser)
    add_task_argument(parser)
    add_model_arguments(parser)
    parser.add_argument("--out", metavar="PATH", help="drawings: a file, or a folder for several")
    add_font_argument(parser)
    add_json_argument(parser, "all results as one JSON list")
    parser.add_argument("--batch-size", type=positive, default=1, metavar="N")
    add_device_argument(parser)
    add_task_options(parser, "predict_options")
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="ray: many processes or machines; --out is then a folder of Parquet files, and a "
        "second run does only what is left",
    )
    parser.add_argument("--workers", type=positive, metavar="N", help="processes (--engine ray)")


def run(args: argparse.Namespace) -> int:
    from fastcv.cli import _clips
    from fastcv.images import find_images

    if clips := _clips.find_clips(args.inputs, are_clips=args.task == _tasks.CLIPS):
        return _clips.run(args, clips)
    pictures = find_images(args.inputs)
    if args.font is not None and (args.out is None or args.engine == "ray"):
        raise UserError("--font is of drawings: name a place for them with --out, without ray")
    check_font(args.font)
    if args.engine == "local":
        if args.workers is not None:
            raise UserError("--workers needs --engine ray")
        return run_here(args, pictures)
    from fastcv.cli import _ray

    return _ray.run(args, pictures)


def run_here(
    args: argparse.Namespace,
    pictures: list[Path],
    load: Callable[[argparse.Namespace, str], tuple[Any, dict[str, Any]]] = load_to_predict,
) -> int:
    """In this process, one batch after the other.

    Args:
        args: of ``fastcv predict``, or of a command with some of its arguments.
        pictures: what is predicted of.
        load: makes the model and the options of its ``predict``.
    """
    drawings = plan_files(pictures, "--out", args.out)
    others = [
        (task, files, plan_files(pictures, files.option.flag, path, suffix=files.suffix))
        for task in _tasks.TASKS
        for files in task.files
        if (path := getattr(args, files.option.name, None)) is not None
    ]
    check_json(args.json)
    model, options = load(args, args.device)
    for task, files, _ in others:
        if not task.has_model(model):
            raise UserError(f"{files.option.flag}: {model.model_name} {files.missing}")
    rows: list[dict[str, Any]] = []
    found = model.predict_iter(pictures, batch_size=args.batch_size, on_error="yield", **options)
    try:
        for path, result in found:
            if isinstance(result, Exception):
                print(f"fastcv {args.command}: {result}", file=sys.stderr)
                rows.append({"file": str(path), "error": str(result)})
                continue
            print(f"{path}: {result}")
            if path in drawings:
                result.save(drawings[path], font=args.font)
            for _, files, plan in others:
                getattr(result, files.save)(plan[path])
            rows.append(result.to_dict())
    except KeyboardInterrupt:
        print(
            f"\nfastcv {args.command}: stopped, {len(rows)} of {len(pictures)} done",
            file=sys.stderr,
        )
        return 130
    finally:
        if rows:
            write_json(args.json, rows)
    broken = sum("error" in row for row in rows)
    if broken and len(pictures) > 1:
        print(
            f"fastcv {args.command}: {broken} of {len(pictures)} could not be read", file=sys.stderr
        )
    return 0 if not broken else 2 if broken == len(pictures) else 1


def plan_files(
    files: list[Path], option: str, out: str | None, suffix: str | None = None
) -> dict[Path, Path]:
    """What to write for each picture, all known to be possible before any work is done.

    In a folder they have the pictures' names; where two have the same, also their folders'.

    Args:
        files: the pictures.
        option: the argument's name, for error sentences.
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
    originals = {os.path.realpath(path) for path in files}  # of links in a circle too
    for path in plan.values():
        if os.path.realpath(path) in originals:
            raise UserError(
                f"{option} {out} would overwrite the image {path}: choose another place"
            )
    return plan


def _with(suffix: str | None, path: Path) -> Path:
    return path if suffix is None else path.with_suffix(suffix)
