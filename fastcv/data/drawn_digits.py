"""Handwritten digits drawn on photographs: a small detection task made of real pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv.classes import DIGIT_KEYPOINTS
from fastcv.data._drawn_page import Page, turned
from fastcv.data._drawn_scene import background, check_digit_size, check_scene, pick
from fastcv.data._drawn_sources import PHOTOGRAPHS, glyphs, photographs

LENGTHS = {"train": 4000, "val": 500, "test": 500}


class DrawnDigits(Dataset[tuple[Tensor, dict[str, Any]]]):
    """Real handwritten digits, turned and coloured, on crops of real photographs.

    An item depends on ``(split, seed, index)`` and the other arguments, and on nothing else: the
    same bits in every run, worker and order of access. Handwriting and photographs come from
    scikit-learn and scikit-image as installed, without a network; no sample of a digit and no
    photograph is in two splits.

    An item is ``(image, target)``: ``[3, H, W]`` float32 in [0, 1], and a dict of ``boxes``
    ``[N, 4]`` float32 (about the visible part), ``labels`` ``[N]`` int64 (digit + 1), ``masks``
    ``[N, H, W]`` bool (the visible part), ``keypoints`` ``[N, 5, 3]`` float32 (x, y, visibility:
    2, or 0 with x = y = 0 outside the image), ``area`` ``[N]`` float32 (pixels of the mask),
    ``iscrowd`` ``[N]`` bool (never), ``image_id`` (the index). The keypoints turn with the digit:
    the centre of its upright frame, and the points 0.8 of the way to the middle of each side.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``.
        size: height and width of the images, in pixels.
        length: how many images; by default 4000, 500 and 500.
        seed: other seeds give other images of the same digits and photographs; 0 or more.
        max_digits: an image gets 1 to so many digits, fewer or none where they find no room.
        digit_size: the minimum and maximum height of an upright digit, in pixels.
        max_angle: the maximum turn to either side, in degrees.
        min_visible: the minimum share of a digit that is not covered by a later one or cut off.

    Raises:
        ValueError: an argument is out of its range.
        ImportError: scikit-learn or scikit-image is missing (on the first item).

    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits" (1998).

    Example:
        >>> from fastcv.data import DrawnDigits
        >>> digits = DrawnDigits("val", size=(128, 160))
        >>> image, target = digits[3]
        >>> image.shape
        torch.Size([3, 128, 160])
        >>> [digits.classes[label] for label in target["labels"]]
        ['4', '0', '9', '1', '8']
    """

    classes = ("background", *"0123456789")
    keypoint_names = DIGIT_KEYPOINTS.names

    def __init__(
        self,
        split: str,
        *,
        size: tuple[int, int] = (192, 192),
        length: int | None = None,
        seed: int = 0,
        max_digits: int = 6,
        digit_size: tuple[float, float] = (20.0, 64.0),
        max_angle: float = 30.0,
        min_visible: float = 0.7,
    ) -> None:
        check_scene(
            split,
            size,
            length,
            seed,
            max_digits=(max_digits, 1, 255),
            max_angle=(max_angle, 0, 180),
            min_visible=(min_visible, 0, 1),
        )
        check_digit_size(digit_size, size)
        self.split = split
        self.size = size
        self.length = LENGTHS[split] if length is None else length
        self.seed = seed
        self.max_digits = max_digits
        self.digit_size = digit_size
        self.max_angle = max_angle
        self.min_visible = min_visible

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        index = range(self.length)[index]
        rng = np.random.default_rng((self.seed, list(PHOTOGRAPHS).index(self.split), index))
        photograph = pick(rng, photographs(self.split))
        page = Page(background(rng, photograph, self.size), self.min_visible)
        for _ in range(rng.integers(1, self.max_digits + 1)):
            digit = int(rng.integers(10))
            glyph = pick(rng, glyphs(self.split)[digit])
            height = math.exp(rng.uniform(*np.log(self.digit_size)))
            angle = math.radians(rng.uniform(-self.max_angle, self.max_angle))
            page.draw(rng, digit + 1, *turned(rng, glyph.ink, height, angle))
        return torch.from_numpy(page.image), page.target(index)
