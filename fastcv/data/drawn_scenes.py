"""Coloured digits on named photographs, with a scene graph that sentences can be about."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor
from torch.utils.data import Dataset

from fastcv.data._drawn_page import LUMA, Array, _extents, turned
from fastcv.data._drawn_scene import background, check_scene, pick
from fastcv.data._drawn_sources import PHOTOGRAPHS, _photograph, glyphs

LENGTHS = {"train": 4000, "val": 500, "test": 500}
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
COLOURS = {
    "red": (0.85, 0.10, 0.10),
    "green": (0.10, 0.65, 0.15),
    "blue": (0.15, 0.25, 0.90),
    "yellow": (0.95, 0.85, 0.10),
    "white": (1.00, 1.00, 1.00),
    "black": (0.00, 0.00, 0.00),
}
BACKGROUNDS = {
    "brick": "brick",
    "coins": "coins",
    "flowers": "flower",
    "grass": "grass",
    "gravel": "gravel",
    "moon": "moon",
    "retina": "retina",
    "stars": "hubble_deep_field",
}
"""What sentences say, and the photograph."""

# Left, top, right and bottom of each split's part of a photograph, as shares of its sides.
PARTS = {"train": (0, 0, 0.55, 1), "val": (0.55, 0, 1, 0.5), "test": (0.55, 0.5, 1, 1)}
CLEAR = 1.5  # how many times as far apart along one axis as along the other two digits are
GAP = 2  # pixels between digits, with their edges
ATTEMPTS = 1000  # to find places


@dataclass(frozen=True)
class DrawnDigit:
    """One digit of a scene.

    Args:
        digit: 0 to 9.
        colour: one of ``COLOURS``.
        centre: x and y of its box, in pixels.
    """

    digit: int
    colour: str
    centre: tuple[float, float]

    @property
    def word(self) -> str:
        """Such as ``"seven"``."""
        return DIGITS[self.digit]

    def __str__(self) -> str:
        return f"{self.colour} {self.word}"


@dataclass(frozen=True)
class Scene:
    """What is on a picture, and where: all that sentences and questions say is true of it.

    Args:
        background: one of ``BACKGROUNDS``.
        digits: one to three, all different, in the order in which they were drawn.
    """

    background: str
    digits: tuple[DrawnDigit, ...]

    def relation(self, i: int, k: int) -> str:
        """Where digit ``i`` is, seen from digit ``k``: left, right, above or below."""
        dx, dy = (a - b for a, b in zip(self.digits[i].centre, self.digits[k].centre, strict=True))
        if abs(dx) > abs(dy):
            return "left" if dx < 0 else "right"
        return "above" if dy < 0 else "below"


def held_out(digit: int, colour: str) -> bool:
    """Whether no scene that trains has that digit in that colour; so it is for one of six."""
    return list(COLOURS).index(colour) == digit % len(COLOURS)


class DrawnScenes(Dataset[tuple[Tensor, dict[str, Any]]]):
    """One to three handwritten digits in plain colours, on one of eight named photographs.

    All digits of a scene are different, so that "the seven" is one of them. Of each two, one is
    clearly left of, right of, above or below the other: they are 1.5 times as far apart along one
    axis as along the other. No scene of ``"train"`` has a zero in red, a one in green and so on:
    ten of the sixty compositions of a digit and a colour are held out, and ``"val"`` and
    ``"test"`` have all. Handwriting and parts of the photographs are apart for each split. An item
    depends on ``(split, seed, index)`` and the other arguments, and on nothing else.

    An item is ``(image, target)``: ``[3, H, W]`` float32 in [0, 1], and a dict of ``scene``, a
    ``Scene``; of the digits, in the same order, ``boxes`` ``[N, 4]`` float32, ``labels`` ``[N]``
    int64 (digit + 1), ``colours`` ``[N]`` int64, ``masks`` ``[N, H, W]`` bool and ``held_out``
    ``[N]`` bool; ``background``, an int; and ``image_id``, the index. ``scene_text`` has sentences
    about a scene, and ``SceneQuestions`` asks.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``.
        size: height and width of the images, in pixels.
        length: how many images; by default 4000, 500 and 500.
        seed: other seeds give other images of the same digits and photographs; 0 or more.
        max_digits: an image gets 1 to so many digits, 3 at most.
        digit_size: the minimum and maximum height of an upright digit, in pixels; by default a
            quarter and a third of the shorter side. A digit that is alone may be twice as large.
        max_angle: the maximum turn to either side, in degrees.

    Raises:
        ValueError: an argument is out of its range.
        ImportError: scikit-learn or scikit-image is missing (on the first item).

    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits" (1998).

    Example:
        >>> from fastcv.data import DrawnScenes
        >>> scenes = DrawnScenes("val")
        >>> image, target = scenes[3]
        >>> image.shape
        torch.Size([3, 96, 96])
        >>> scene = target["scene"]
        >>> scene.background, [str(digit) for digit in scene.digits]
        ('brick', ['black five', 'yellow seven', 'white six'])
        >>> scene.relation(0, 1)
        'below'
    """

    classes = ("background", *DIGITS)
    colours = tuple(COLOURS)
    backgrounds = tuple(BACKGROUNDS)

    def __init__(
        self,
        split: str,
        *,
        size: tuple[int, int] = (96, 96),
        length: int | None = None,
        seed: int = 0,
        max_digits: int = 3,
        digit_size: tuple[float, float] | None = None,
        max_angle: float = 15.0,
    ) -> None:
        check_scene(
            split,
            size,
            length,
            seed,
            max_digits=(max_digits, 1, 3),
            max_angle=(max_angle, 0, 180),
        )
        side = min(size)
        self.digit_size = (side / 4, side / 3) if digit_size is None else digit_size
        share, words = (1.5, "two thirds") if max_digits == 1 else (3, "a third")
        if not 0 < self.digit_size[0] <= self.digit_size[1] <= side / share:
            raise ValueError(
                f"digit_size must be (min, max) in pixels, the maximum at most {words} of the "
                f"image's shorter side, got {digit_size} in an image of {size}"
            )
        self.split, self.size, self.seed = split, size, seed
        self.length = LENGTHS[split] if length is None else length
        self.max_digits, self.max_angle = max_digits, max_angle

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        index = range(self.length)[index]
        rng = np.random.default_rng((self.seed, list(PHOTOGRAPHS).index(self.split), index))
        name = pick(rng, self.backgrounds)
        image = background(rng, _part(name, self.split), self.size)
        digits = [self._digit(rng, digit) for digit in self._chosen(rng)]
        corners = self._places(rng, [alpha.shape for _, _, alpha in digits])
        masks = np.zeros((len(digits), *self.size), bool)
        for (_, colour, alpha), (y, x), mask in zip(digits, corners, masks, strict=True):
            rows, columns = slice(y, y + alpha.shape[0]), slice(x, x + alpha.shape[1])
            _draw(image[:, rows, columns], alpha, COLOURS[colour])
            mask[rows, columns] = alpha > 0.5
        boxes = _extents(masks)
        middles = (boxes[:, :2] + boxes[:, 2:]) / 2
        scene = Scene(
            name,
            tuple(
                DrawnDigit(digit, colour, (float(x), float(y)))
                for (digit, colour, _), (x, y) in zip(digits, middles, strict=True)
            ),
        )
        return torch.from_numpy(image), {
            "scene": scene,
            "boxes": torch.from_numpy(boxes),
            "labels": torch.tensor([1 + d.digit for d in scene.digits]),
            "colours": torch.tensor([self.colours.index(d.colour) for d in scene.digits]),
            "masks": torch.from_numpy(masks),
            "held_out": torch.tensor([held_out(d.digit, d.colour) for d in scene.digits]),
            "background": self.backgrounds.index(name),
            "image_id": index,
        }

    def _chosen(self, rng: np.random.Generator) -> list[int]:
        """Which digits a scene has."""
        count = int(rng.integers(1, self.max_digits + 1))
        return [int(digit) for digit in rng.permutation(10)[:count]]

    def _digit(self, rng: np.random.Generator, digit: int) -> tuple[int, str, Array]:
        """A digit, its colour, and its ink ``[h, w]``."""
        allowed = [c for c in self.colours if self.split != "train" or not held_out(digit, c)]
        colour = allowed[rng.integers(len(allowed))]
        height = math.exp(rng.uniform(*np.log(self.digit_size)))
        angle = math.radians(rng.uniform(-self.max_angle, self.max_angle))
        alpha, _ = turned(rng, pick(rng, glyphs(self.split)[digit]).ink, height, angle)
        (rows,), (columns,) = (np.nonzero(alpha.max(axis)) for axis in (1, 0))
        inked = alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        return digit, colour, np.pad(inked, GAP)

    def _places(
        self, rng: np.random.Generator, shapes: list[tuple[int, ...]]
    ) -> list[tuple[int, int]]:
        """The upper left corner of each, so that none touches another and relations are clear."""
        for _ in range(ATTEMPTS):
            corners = [
                (int(rng.integers(self.size[0] - h + 1)), int(rng.integers(self.size[1] - w + 1)))
                for h, w in shapes
            ]
            frames = list(zip(corners, shapes, strict=True))
            if all(_apart(a, b) for i, a in enumerate(frames) for b in frames[:i]):
                return corners
        raise RuntimeError(f"no room for {len(shapes)} digits in an image of {self.size}")


Frame = tuple[tuple[int, ...], tuple[int, ...]]  # (y, x) and (height, width)


def _apart(a: Frame, b: Frame) -> bool:
    """Whether two digits do not touch, and one is clearly beside the other or above it."""
    gaps = [abs(2 * (p - q) + m - n) for p, q, m, n in zip(a[0], b[0], a[1], b[1], strict=True)]
    touch = all(gap < m + n for gap, m, n in zip(gaps, a[1], b[1], strict=True))
    # A pixel more: the boxes about the ink may lie a little aside of the frames.
    return not touch and max(gaps) > CLEAR * (min(gaps) + 4)


def _draw(patch: Array, alpha: Array, colour: tuple[float, ...]) -> None:
    """Ink with an edge that stands out from it, so that any colour is seen on any photograph."""
    ink = np.array(colour, np.float32)
    edge = np.float32(ink @ LUMA < 0.4)
    grown = Image.fromarray((alpha * 255).round().astype(np.uint8))
    halo = np.asarray(grown.filter(ImageFilter.MaxFilter(2 * GAP - 1)), np.float32) / 255
    patch += halo * (edge - patch)
    patch += alpha * (ink[:, None, None] - patch)


@functools.cache
def _part(name: str, split: str) -> Image.Image:
    """The split's part of a photograph."""
    photograph = _photograph(BACKGROUNDS[name])
    left, top, right, bottom = PARTS[split]
    width, height = photograph.size
    return photograph.crop(
        (round(left * width), round(top * height), round(right * width), round(bottom * height))
    )
