"""Digits on grass, brick and gravel: a small panoptic task made of real pixels."""

from __future__ import annotations

import functools
import math
from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from fastcv.data._drawn_page import Array, Page, turned
from fastcv.data._drawn_scene import background, check_digit_size, check_scene, pick
from fastcv.data._drawn_sources import PHOTOGRAPHS, _photograph, glyphs
from fastcv.data.coco_panoptic import panoptic_target
from fastcv.results import Panoptic

LENGTHS = {"train": 4000, "val": 500, "test": 500}
STUFF = ("grass", "brick", "gravel")
# Left, top, right and bottom of each split's part of a texture, which has 512 x 512 pixels.
PARTS = {"train": (0, 0, 320, 512), "val": (320, 0, 512, 256), "test": (320, 256, 512, 512)}
SIDE = 192  # of the square of a texture that a scene's crop comes from, in every split
MIN_SHARE = 0.15  # of the pixels, of each texture, before digits are drawn on it
ATTEMPTS = 100  # to find a partition


class DrawnStreets(Dataset[tuple[Tensor, dict[str, Any]]]):
    """Real handwritten digits on a ground of three textures: things on stuff, to the pixel.

    The ground is cut into three regions, each of the points that are nearest to one of three
    random ones, and filled with photographs of grass, brick and gravel. Digits lie on it as in
    ``DrawnDigits``; their handwriting is apart for each split. Of each texture there is one
    photograph: the splits have parts of it that do not touch. An item depends on
    ``(split, seed, index)`` and the other arguments, and on nothing else.

    An item is ``(image, target)``: ``[3, H, W]`` float32 in [0, 1], and a dict of ``panoptic``, the
    truth as a ``results.Panoptic``; ``semantic`` ``[H, W]`` int64, the class of each pixel, 255
    for void; of the digits ``boxes`` ``[N, 4]`` float32 (about the visible part), ``labels``
    ``[N]`` int64, ``masks`` ``[N, H, W]`` bool (the visible part), ``area`` ``[N]`` float32,
    ``iscrowd`` ``[N]`` bool (never); ``withheld`` ``[H, W]`` bool, the pixels of withheld digits;
    and ``image_id``, the index.

    **Withheld digits** are drawn like the others, but no class is theirs: they have no box, no
    mask and no segment, and their pixels are void. So it is with things of the world that a data
    set has no name for: training sees them and is told nothing about them.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``.
        size: height and width of the images, in pixels.
        length: how many images; by default 4000, 500 and 500.
        seed: other seeds give other images of the same digits and textures; 0 or more.
        max_digits: an image gets 1 to so many digits, fewer or none where they find no room.
        digit_size: the minimum and maximum height of an upright digit, in pixels.
        max_angle: the maximum turn to either side, in degrees.
        min_visible: the minimum share of a digit that is not covered by a later one or cut off.
        withheld: digits that are no class.

    Raises:
        ValueError: an argument is out of its range.
        ImportError: scikit-learn or scikit-image is missing (on the first item).

    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits" (1998).

    Example:
        >>> from fastcv.data import DrawnStreets
        >>> streets = DrawnStreets("val", size=(128, 160), withheld=[7])
        >>> streets.classes
        ('grass', 'brick', 'gravel', '0', '1', '2', '3', '4', '5', '6', '8', '9')
        >>> image, target = streets[3]
        >>> target["panoptic"]
        Panoptic(128x160: grass, brick, gravel, 1 0, void 9.2 %)
    """

    num_stuff = len(STUFF)

    def __init__(
        self,
        split: str,
        *,
        size: tuple[int, int] = (192, 192),
        length: int | None = None,
        seed: int = 0,
        max_digits: int = 5,
        digit_size: tuple[float, float] = (32.0, 80.0),
        max_angle: float = 30.0,
        min_visible: float = 0.7,
        withheld: Collection[int] = (),
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
        if not set(withheld) < set(range(10)):
            raise ValueError(
                f"withheld must be digits from 0 to 9, and not all of them, got {withheld}"
            )
        self.split, self.size, self.seed = split, size, seed
        self.length = LENGTHS[split] if length is None else length
        self.max_digits, self.digit_size = max_digits, digit_size
        self.max_angle, self.min_visible = max_angle, min_visible
        known = [digit for digit in range(10) if digit not in withheld]
        self.label_of = {digit: self.num_stuff + i for i, digit in enumerate(known)}
        self.classes = (*STUFF, *map(str, known))
        self.things = tuple(self.label_of.values())

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        index = range(self.length)[index]
        rng = np.random.default_rng((self.seed, list(PHOTOGRAPHS).index(self.split), index))
        image, ground = street(rng, self.size, self.split)
        page = Page(image, self.min_visible)
        for _ in range(rng.integers(1, self.max_digits + 1)):
            digit = int(rng.integers(10))
            glyph = pick(rng, glyphs(self.split)[digit])
            height = math.exp(rng.uniform(*np.log(self.digit_size)))
            angle = math.radians(rng.uniform(-self.max_angle, self.max_angle))
            page.draw(rng, digit + 1, *turned(rng, glyph.ink, height, angle))
        return torch.from_numpy(page.image), self._target(page.target(index), ground)

    def _target(self, drawn: dict[str, Any], ground: np.ndarray) -> dict[str, Any]:
        """The target, of ``DrawnDigits``' and the ground's labels."""
        digits = (drawn["labels"] - 1).tolist()
        known = torch.tensor([digit in self.label_of for digit in digits], dtype=torch.bool)
        labels = [self.label_of[digit] for digit in digits if digit in self.label_of]
        masks = drawn["masks"]
        withheld = masks[~known].any(0) if len(masks) else torch.zeros(self.size, dtype=torch.bool)
        ids = torch.from_numpy(ground) + 1
        label_of_id = {label + 1: label for label in range(self.num_stuff)}
        for id, (mask, label) in enumerate(
            zip(masks[known], labels, strict=True), self.num_stuff + 1
        ):
            ids[mask] = id
            label_of_id[id] = label
        ids = ids.masked_fill(withheld, 0).int()
        panoptic = Panoptic.from_map(ids, label_of_id, self.classes, self.things)
        return {
            **panoptic_target(panoptic),
            "withheld": withheld,
            "image_id": drawn["image_id"],
        }


def street(rng: np.random.Generator, size: tuple[int, int], split: str) -> tuple[Array, np.ndarray]:
    """The ground that digits lie on, ``[3, *size]``, and the label of each of its pixels."""
    ground = partition(rng, size, len(STUFF))
    image = np.empty((3, *size), np.float32)
    for label, name in enumerate(STUFF):
        texture = background(rng, _square(rng, name, split), size)
        image[:, ground == label] = texture[:, ground == label]
    return image, ground


def partition(rng: np.random.Generator, size: tuple[int, int], regions: int) -> np.ndarray:
    """Which of some random points is nearest to each pixel, each to many pixels.

    Returns:
        ``[H, W]`` int64 from 0; after 100 attempts regions may have fewer than 15 % of the pixels.
    """
    rows, columns = np.indices(size)
    for _ in range(ATTEMPTS):
        points = rng.uniform(0, 1, (regions, 2)) * size
        nearest = np.argmin([(rows - y) ** 2 + (columns - x) ** 2 for y, x in points], axis=0)
        shares = np.bincount(nearest.ravel(), minlength=regions) / nearest.size
        if shares.min() >= MIN_SHARE:
            break
    return nearest


def _square(rng: np.random.Generator, name: str, split: str) -> Image.Image:
    """A square of the split's part of a texture."""
    left, top, right, bottom = PARTS[split]
    x = int(rng.integers(left, right - SIDE + 1))
    y = int(rng.integers(top, bottom - SIDE + 1))
    return _texture(name).crop((x, y, x + SIDE, y + SIDE))


@functools.cache
def _texture(name: str) -> Image.Image:
    return _photograph(name)
