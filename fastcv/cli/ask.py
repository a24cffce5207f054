"""``fastcv ask``: questions about pictures."""

from __future__ import annotations

import argparse
import sys
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
from fastcv.cli._model import add_device_argument, add_model_arguments, load
from fastcv.cli.predict import plan_files
from fastcv.models import _tasks

HELP = "answers to questions about pictures"
(TASK,) = (task for task in _tasks.TASKS if task.name == "vqa")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Answers a question about each picture, or several: a line for each, drawings with --out, "
        "numbers with --json. A picture that cannot be read is reported, the others are done, and "
        "the exit status is 1."
    )
    add_inputs_argument(parser)
    parser.add_argument("question", help='such as "what colour is the seven?"')
    parser.add_argument(
        "--also",
        action="append",
        default=[],
        metavar="QUESTION",
        help="one more question about each picture; as often as you like",
    )
    add_model_arguments(parser)
    parser.add_argument("--out", metavar="PATH", help="drawings: a file, or a folder for several")
    add_font_argument(parser)
    add_json_argument(parser, "all answers as one JSON list")
    add_device_argument(parser)


def run(args: argparse.Namespace) -> int:
    from fastcv.images import find_images

    pictures = find_images(args.inputs)
    questions = [args.question, *args.also]
    if args.font is not None and args.out is None:
        raise UserError("--font is of drawings: name a place for them with --out")
    check_font(args.font)
    check_json(args.json)
    drawings = plan_drawings(pictures, questions, args.out)
    model: Any = load(args.model, args.weights, args.device)
    if not TASK.has_model(model):
        raise UserError(f"{model.model_name} answers no questions: `fastcv models --task vqa`")
    for question in questions:  # before any picture is read
        model.encode(question)
    pairs = [(path, question) for path in pictures for question in questions]
    rows: list[dict[str, Any]] = []
    for pair, answer in model.predict_iter(pairs, on_error="yield"):
        if isinstance(answer, Exception):
            print(f"fastcv ask: {answer}", file=sys.stderr)
            rows.append({"file": str(pair.image), "question": pair.question, "error": str(answer)})
            continue
        print(f"{pair.image}: {answer}")
        if drawings:
            answer.save(drawings[pair.image, pair.question], font=args.font)
        rows.append(answer.to_dict())
    write_json(args.json, rows)
    broken = sum("error" in row for row in rows)
    return 0 if not broken else 2 if broken == len(rows) else 1


def plan_drawings(
    pictures: list[Path], questions: list[str], out: str | None
) -> dict[tuple[Path, str], Path]:
    """What to draw for each picture and question; of several questions numbered: ``a_2.png``.

    Raises:
        UserError: it cannot be written, or is one file for several questions.
    """
    if len(set(questions)) < len(questions):
        raise UserError("the questions must differ, and one is asked twice")
    files = plan_files(pictures, "--out", out)
    if len(questions) == 1:
        return {(path, questions[0]): file for path, file in files.items()}
    if out is not None and Path(out) in files.values():
        raise UserError(f"--out {out} is one file for {len(questions)} questions: name a folder")
    return {
        (path, question): file.with_stem(f"{file.stem}_{number}")
        for path, file in files.items()
        for number, question in enumerate(questions, 1)
    }
