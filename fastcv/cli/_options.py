"""What the tasks bring to the command line, for every command that predicts."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fastcv.cli._errors import UserError
from fastcv.cli._model import check_predicts, load
from fastcv.models import _tasks
from fastcv.models._tasks import Option, Task

if TYPE_CHECKING:
    from fastcv.models import Model


def add_option(parser: Any, option: Option) -> None:
    parser.add_argument(option.flag, help=option.help, **option.settings)


def add_task_options(parser: argparse.ArgumentParser, options_of: str) -> None:
    """A group for each task, of its ``predict_options`` and files, or its ``evaluate_options``."""
    there: set[str] = set()
    for task in _tasks.TASKS:
        options: list[Option] = list(getattr(task, options_of))
        if options_of == "predict_options":
            options += [files.option for files in task.files]
        new = [option for option in options if option.flag not in there]
        group = parser.add_argument_group(task.title.lower()) if new else parser
        for option in new:
            there.add(option.flag)
            add_option(group, option)


def given(args: argparse.Namespace, options: Iterable[Option]) -> dict[str, Any]:
    """Those of the options that were given, by name."""
    values = {option.name: getattr(args, option.name, None) for option in options}
    return {name: value for name, value in values.items() if value is not None}


def given_to_predict(args: argparse.Namespace) -> dict[str, Any]:
    """The options of ``predict`` among the arguments, those that were given."""
    return given(args, (option for task in _tasks.TASKS for option in task.predict_options))


def load_to_predict(args: argparse.Namespace, device: str) -> tuple[Model, dict[str, Any]]:
    """The model that was asked for, on a device, and what its ``predict`` is called with.

    Raises:
        UserError: as of ``load``, a model that predicts nothing of pictures, or one that does not
            take something that was given.
    """
    model = load(args.model, args.weights, device, args.task)
    check_predicts(model)
    return model, options_for(model, given_to_predict(args))


def options_for(model: Model, given: dict[str, Any]) -> dict[str, Any]:
    """What ``predict`` of this model is called with.

    Raises:
        UserError: the model does not take something that was given.
    """
    takes = model.predict_options()
    check_options(model, given)
    allow_large_pictures(given)
    defaults = {
        name: value for task in _tasks.TASKS for name, value in task.predict_defaults.items()
    }
    options = {name: value for name, value in defaults.items() if name in takes}
    options |= {"progress": True} if "tile" in given else {}
    return options | given


def check_options(model: Model, given: dict[str, Any]) -> None:
    """Refuses what the model's ``predict`` does not take.

    Raises:
        UserError: the first such option.
    """
    takes = model.predict_options() if given else []
    known = {option.name: option for task in _tasks.TASKS for option in task.predict_options}
    for name in given:
        if name not in takes:
            flag, missing = known[name].flag, known[name].missing
            if missing:
                raise UserError(f"{flag}: {model.model_name} {missing}")
            raise UserError(f"{flag}: predict of {model.model_name or 'the model'} has no {name}")


def allow_large_pictures(given: dict[str, Any]) -> None:
    """Pillow's limit is lifted for this process where tiles were asked for: pictures are large."""
    if "tile" in given:
        from PIL import Image

        Image.MAX_IMAGE_PIXELS = None


def in_words(options: Iterable[Option]) -> str:
    """``--a, --b and --c``."""
    *others, last = [option.flag for option in options]
    return f"{', '.join(others)} and {last}" if others else last


def task_that_takes(flag: str, model: Any) -> Task:
    """The task that a model is evaluated for on the annotated pictures of ``flag``."""
    takes = [task for task in _tasks.TASKS if task.takes(flag)]
    own = [task for task in takes if task.has_model(model)]
    # A Mask R-CNN is a detector as well: the entries of what is special come last.
    return own[-1] if own else takes[0]
