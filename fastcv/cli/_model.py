"""The arguments that choose a model and a device, for every command that has one."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fastcv.cli._errors import UserError
from fastcv.models import _tasks

if TYPE_CHECKING:
    import torch

    from fastcv.models import Model


def default_models() -> dict[str, str]:
    """The tasks that ``--task`` takes, and the model of each."""
    return {task.name: task.default_model for task in _tasks.TASKS if task.default_model}


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="NAME", help="a name out of `fastcv models`")
    parser.add_argument(
        "--weights",
        metavar="W",
        help="a published name, a .pth or .safetensors, or a URL; by default the best published; "
        "a .safetensors that fastcv wrote needs no --model",
    )


def add_device_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--device", default="auto", help="cpu, cuda or cuda:N; by default the GPU if there is one"
    )


def add_task_argument(parser: argparse.ArgumentParser) -> None:
    choices = ", ".join(f"{task} ({model})" for task, model in default_models().items())
    parser.add_argument(
        "--task",
        metavar="T",
        help=f"a task's model where none is named: {choices}; or {_tasks.CLIPS} "
        f"({_tasks.CLIP_MODEL}, or any other): the inputs are clips, a folder one of frames",
    )


def load(model: str | None, weights: str | None, device: str, task: str | None = None) -> Model:
    """The model on its device; of a task if that is given, the task's own if no model is.

    Raises:
        UserError: neither a model nor weights nor a task, a model of another task, or a device
            that is not there.
    """
    defaults = {**default_models(), _tasks.CLIPS: _tasks.CLIP_MODEL}
    named = model is not None or weights is not None
    known = {*(t.name for t in _tasks.TASKS), _tasks.CLIPS} if named else set(defaults)
    if task is not None and task not in known:
        raise UserError(f"--task must be one of {', '.join(defaults)}, got {task!r}")
    if task is not None and not named:
        model = defaults[task]
    loaded = _load(model, weights, device)
    if task is not None and task != _tasks.CLIPS:
        from fastcv.models._registry import find_model

        entry = find_model(loaded.model_name)
        if entry.task != task:
            raise UserError(f"--task {task}: {entry.name} is a model of {entry.task}")
    return loaded


def _load(model: str | None, weights: str | None, device: str) -> Model:
    from fastcv.models import create_model, load_model

    on = find_device(device)
    if model is not None:
        return create_model(model, weights or "default").to(on)
    if weights is None:
        raise UserError(
            "which model? pass --model NAME (`fastcv models` lists them) or --weights FILE"
        )
    if weights.startswith(("http://", "https://")) or not Path(weights).suffix:
        raise UserError(f"--weights {weights} needs --model NAME too: only a file can name its own")
    return load_model(Path(weights).expanduser()).to(on)


def check_predicts(model: Model) -> None:
    """That a model predicts something of pictures.

    Raises:
        UserError: it is of a task that has a command of its own.
    """
    from fastcv.models import ImageModel

    if not isinstance(model, ImageModel):
        alone = " alone" if hasattr(model, "predict_iter") else ""  # something beside them
        task = _tasks.task_of_model(model.model_name)
        verb = f": `fastcv {_tasks.verb_name(task.verbs[0])}` runs it" if task.verbs else ""
        raise UserError(f"{model.model_name} does not take pictures{alone}{verb}")


def find_device(name: str) -> torch.device:
    """The device of that name.

    Raises:
        UserError: no such kind, or it is not there.
    """
    from fastcv import _device

    try:
        return _device.find_device(name)
    except ValueError as error:
        raise UserError(f"--{error}") from None
