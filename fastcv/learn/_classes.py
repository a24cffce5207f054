"""The names of the classes that a model learns."""

from __future__ import annotations

from typing import Any

from torch import nn

from fastcv.models import Model


def take_class_names(model: nn.Module, data: Any) -> None:
    """Give a model the class names of the data it is trained on, where there are as many.

    The parts of it that had the model's names, such as a student, get them too.

    Args:
        model: any module; only those of fastcv have names.
        data: a data set; its own ``classes``, or those of the ``dataset`` that it wraps.
    """
    names = _class_names(data)
    old = getattr(model, "classes", ())
    if len(names) != len(old) or tuple(names) == tuple(old):
        return
    for part in model.modules():
        if isinstance(part, Model) and tuple(part.classes) == tuple(old):
            part.classes = names


def _class_names(data: Any) -> tuple[str, ...]:
    while not hasattr(data, "classes") and hasattr(data, "dataset"):  # Subset, a wrapper
        data = data.dataset
    if hasattr(data, "datasets") and not hasattr(data, "classes"):  # ConcatDataset
        (names, *others) = [_class_names(part) for part in data.datasets]
        return names if all(other == names for other in others) else ()
    names = getattr(data, "classes", ())
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        return ()
    return tuple(names)
