"""The names that a detector is born with."""

from __future__ import annotations

from fastcv.classes import class_names


def detector_classes(dataset: str, num_classes: int) -> tuple[str, ...]:
    """The data set's names where there are as many, else numbers.

    Args:
        dataset: ``"coco"`` or ``"voc"``.
        num_classes: with the background.

    Raises:
        ValueError: no class beside the background.
    """
    if num_classes < 2:
        raise ValueError(f"num_classes must be at least 2, with the background, got {num_classes}")
    names = class_names(dataset)
    if num_classes == len(names):
        return names
    return ("background", *(f"class {i}" for i in range(1, num_classes)))
