"""What all drawn data sets begin with: their arguments' ranges, and a photograph as background."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from fastcv.data._drawn_page import Array
from fastcv.data._drawn_sources import PHOTOGRAPHS

ANY_NUMBER = (0, 2**63)


def check_scene(
    split: str,
    size: Any,
    length: int | None,
    seed: int,
    **ranges: tuple[float, float, float],
) -> None:
    """Whether the arguments of a drawn data set are what they must be.

    Args:
        ranges: the value, minimum and maximum of the others, by name.

    Raises:
        ValueError: another split, or a value out of its range.
        TypeError: ``size`` is no pair.
    """
    if split not in PHOTOGRAPHS:
        raise ValueError(f"split must be one of {', '.join(PHOTOGRAPHS)}, got {split!r}")
    if not (isinstance(size, Sequence) and len(size) == 2):
        raise TypeError(f"size must be (height, width) in pixels, got {size!r}")
    of_all = {"length": (length or 0, *ANY_NUMBER), "seed": (seed, *ANY_NUMBER)}
    for name, (value, minimum, maximum) in {**of_all, **ranges}.items():
        if not minimum <= value <= maximum:
            raise ValueError(f"{name} must be {minimum} to {maximum}, got {value}")


def check_digit_size(digit_size: tuple[float, float], size: tuple[int, int]) -> None:
    """Whether digits of that height find room.

    Raises:
        ValueError: they do not.
    """
    if not 0 < digit_size[0] <= digit_size[1] <= min(size) / 1.5:
        raise ValueError(
            "digit_size must be (least, greatest) in pixels, the greatest at most two thirds "
            f"of the image's shorter side, got {digit_size} in an image of {size}"
        )


def pick(rng: np.random.Generator, items: tuple[Any, ...]) -> Any:
    """One of several, each as likely as another."""
    return items[rng.integers(len(items))]


def background(rng: np.random.Generator, photograph: Image.Image, size: tuple[int, int]) -> Array:
    """A crop of the photograph in the shape of ``size``, maybe mirrored, in another light."""
    largest = min(photograph.height / size[0], photograph.width / size[1])
    scale = largest * rng.uniform(0.4, 1.0)
    height, width = scale * size[0], scale * size[1]
    x = rng.uniform(0, photograph.width - width)
    y = rng.uniform(0, photograph.height - height)
    crop = photograph.resize(
        (size[1], size[0]),
        Image.Resampling.BILINEAR,
        box=(x, y, x + width, y + height),
        reducing_gap=1.0,
    )
    pixels = np.asarray(crop)[:, :: 1 - 2 * rng.integers(2)].transpose(2, 0, 1)
    light = rng.uniform(0.6, 1.1, (3, 1, 1)).astype(np.float32) / 255
    return np.minimum(np.ascontiguousarray(pixels, np.float32) * light, 1)
