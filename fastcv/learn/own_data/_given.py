"""Which pictures were given, and by which of a task's ways to name them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from fastcv.learn.own_data._pictures import Annotated
from fastcv.models._tasks import TASKS, Data, Task, task_of_model

Where = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def task_and_data(name: str, data: dict[str, Where]) -> tuple[Task, Data]:
    """The model's task, and which of its ways to name pictures was taken."""
    task = task_of_model(name)
    ways = {way.option.name: way for way in task.data if way.own is not None}
    if task.training is None or not ways or not task.training.takes_model(name):
        able = [other.models for other in TASKS if other.training and other is not task]
        raise ValueError(
            f"{name} is one of the {task.models}, which cannot be trained on pictures of your "
            f"own; {', '.join(able)} can"
        )
    if len(data) != 1 or not set(data) <= set(ways):
        raise ValueError(
            f"{name} is one of the {task.models}: the pictures to train on must be given as one "
            f"of {', '.join(ways)}, got {', '.join(data) or 'none'}"
        )
    return task, ways[next(iter(data))]


def open_sets(
    opener: Callable[..., Annotated],
    source: Data,
    given: Where,
    val: Where | None,
    fraction: float,
    seed: int,
) -> tuple[Annotated, Annotated]:
    train = opener(*_values(source, source.option.name, given))
    if val is not None:
        own = opener(*_values(source, "val", val), classes=train.classes)
        if own.config != train.config:
            raise ValueError(
                f"val must have what the pictures to train on have, {dict(train.config)}, got "
                f"{dict(own.config)}"
            )
        return train, own
    parts = train.split(fraction, seed)
    for part, purpose in zip(parts, ("train", "validate"), strict=True):
        if not part.objects():
            raise ValueError(
                f"the pictures to {purpose} on have no objects: pass val, or another val_fraction"
            )
    return parts


def _values(source: Data, name: str, given: Where) -> list[str]:
    """As many as the way to name pictures has."""
    values = [given] if isinstance(given, (str, os.PathLike)) else list(given)
    if len(values) != source.values:
        meta = source.option.settings["metavar"]
        raise ValueError(
            f"{name} must be {' '.join([meta] if isinstance(meta, str) else meta)}, got "
            f"{len(values)} values"
        )
    return [os.fspath(value) for value in values]
