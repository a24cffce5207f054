"""``fastcv evaluate``: how good a model is on annotated pictures."""

from __future__ import annotations

import argparse
from typing import Any

from fastcv.cli._arguments import add_json_argument, check_json, write_json
from fastcv.cli._errors import UserError
from fastcv.cli._metrics import print_metrics
from fastcv.cli._model import add_device_argument, add_model_arguments, find_device, load
from fastcv.cli._options import (
    add_option,
    add_task_options,
    allow_large_pictures,
    check_options,
    given,
    in_words,
    task_that_takes,
)
from fastcv.models import _tasks
from fastcv.models._tasks import Option

HELP = "how good a model is on annotated pictures"
CHAPTER = "Models"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "COCO's metrics of a detector, accuracy and calibration of a classifier, "
        "or IoU and boundary F of a segmenter, on annotations of your own or of a recipe."
    )
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument(
        "--recipe", metavar="NAME", help="a recipe's data; its weights unless --weights is given"
    )
    for option in _data_options().values():
        add_option(data, option)
    add_model_arguments(parser)
    add_device_argument(parser)
    add_task_options(parser, "evaluate_options")
    add_json_argument(parser, "the metrics as JSON too")


def run(args: argparse.Namespace) -> int:
    options = _data_options()
    flag = next((f for f in options if getattr(args, options[f].name) is not None), None)
    for task in _tasks.TASKS:
        if given(args, task.evaluate_options) and not (flag and task.takes(flag)):
            flags = " or ".join(data.option.flag for data in task.data)
            raise UserError(f"{in_words(task.evaluate_options)} are of {task.models}: {flags}")
    check_json(args.json)
    metrics = _evaluate_recipe(args) if flag is None else _evaluate_model(args, flag)
    print_metrics(metrics)
    write_json(args.json, metrics)
    return 0


def _data_options() -> dict[str, Option]:
    """By flag; two tasks may share one, as ``--voc``."""
    return {data.option.flag: data.option for task in _tasks.TASKS for data in task.data}


def _evaluate_recipe(args: argparse.Namespace) -> dict[str, Any]:
    from fastcv import recipes

    if args.model is not None:
        raise UserError("--recipe has a model of its own: leave --model out")
    device = str(find_device(args.device))
    return recipes.get(args.recipe).evaluate(args.weights, device=device)


def _evaluate_model(args: argparse.Namespace, flag: str) -> dict[str, Any]:
    model = load(args.model, args.weights, args.device)
    task = task_that_takes(flag, model)
    options = given(args, task.evaluate_options)
    check_options(model, options)
    allow_large_pictures(options)
    (data,) = (data for data in task.data if data.option.flag == flag)
    values = getattr(args, data.option.name)
    pictures = data.open(model.classes, *([values] if isinstance(values, str) else values))
    assert task.evaluate is not None  # a task with data has metrics: tests/models/test_tasks.py
    return task.evaluate(model, pictures, options)
