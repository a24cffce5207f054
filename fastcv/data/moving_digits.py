"""Clips of digits that move on known paths: what moved where is exact, to the pixel."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv.data._drawn_page import Array, turned
from fastcv.data._drawn_scene import background, check_digit_size, check_scene, pick
from fastcv.data._drawn_sources import PHOTOGRAPHS, glyphs, photographs
from fastcv.data._moving_page import MovingPage

LENGTHS = {"train": 1000, "val": 50, "test": 100}
FRAMES = 12
MAX_ANGLE = 30.0  # of a digit, to either side


class MovingDigits(Dataset[tuple[Tensor, list[dict[str, Any]]]]):
    """Real handwritten digits that cross photographs in straight lines, while the camera pans.

    An item depends on ``(split, seed, index)`` and the other arguments, and on nothing else.
    Handwriting and photographs are those of ``DrawnDigits``, apart for each split.

    An item is ``(frames, targets)``: ``[T, 3, H, W]`` float32 in [0, 1], and for each frame a dict
    of ``boxes`` ``[N, 4]`` float32 (about the visible part), ``labels`` ``[N]`` int64 (digit + 1),
    ``masks`` ``[N, H, W]`` bool (the visible part), ``ids`` ``[N]`` int64 (the same digit has the
    same number in all frames, from 1), ``visible`` ``[N]`` float32 (the share of the digit that is
    neither covered nor cut off), ``places`` ``[N, 2]`` int64 (x, y of its drawing's corner),
    ``camera`` ``[2]`` int64 (x, y of the frame's corner in the background), ``area``, ``iscrowd``
    (never) and ``image_id``. All digits are in all frames. Positions are whole pixels, so a later
    frame shows the very pixels of an earlier one, where nothing hides them: see ``flow_between``.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``.
        size: height and width of the frames, in pixels.
        frames: how many a clip has.
        length: how many clips; by default 1000, 50 and 100.
        seed: other seeds give other clips of the same digits and photographs; 0 or more.
        max_digits: a clip gets 1 to so many digits, fewer or none where they find no room.
        digit_size: the minimum and maximum height of an upright digit, in pixels.
        max_speed: of a digit along each axis, in pixels a frame.
        max_pan: of the camera, likewise.
        min_visible: the minimum share of a digit that is seen, in every frame.

    Raises:
        ValueError: an argument is out of its range.
        ImportError: scikit-learn or scikit-image is missing (on the first item).

    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits" (1998).

    Example:
        >>> from fastcv.data import MovingDigits
        >>> clips = MovingDigits("val", size=(128, 160))
        >>> frames, targets = clips[1]
        >>> frames.shape, len(targets)
        (torch.Size([12, 3, 128, 160]), 12)
        >>> [clips.classes[label] for label in targets[0]["labels"]]
        ['9', '0']
    """

    classes = ("background", *"0123456789")
    first_digit = 1  # the label of 0

    def __init__(
        self,
        split: str,
        *,
        size: tuple[int, int] = (192, 192),
        frames: int = FRAMES,
        length: int | None = None,
        seed: int = 0,
        max_digits: int = 3,
        digit_size: tuple[float, float] = (40.0, 80.0),
        max_speed: float = 6.0,
        max_pan: float = 2.0,
        min_visible: float = 0.6,
    ) -> None:
        check_scene(
            split,
            size,
            length,
            seed,
            frames=(frames, 1, 1000),
            max_digits=(max_digits, 1, 255),
            max_speed=(max_speed, 0, 1000),
            max_pan=(max_pan, 0, 1000),
            min_visible=(min_visible, 0, 1),
        )
        check_digit_size(digit_size, size)
        self.split, self.size, self.frames, self.seed = split, size, frames, seed
        self.length = LENGTHS[split] if length is None else length
        self.max_digits, self.digit_size = max_digits, digit_size
        self.max_speed, self.max_pan, self.min_visible = max_speed, max_pan, min_visible

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, list[dict[str, Any]]]:
        index = range(self.length)[index]
        rng = np.random.default_rng((self.seed, list(PHOTOGRAPHS).index(self.split), index))
        cameras = np.rint(
            np.arange(self.frames)[:, None] * rng.uniform(-self.max_pan, self.max_pan, 2)
        ).astype(np.int64)
        cameras -= cameras.min(axis=0)  # within the background
        more = cameras.max(axis=0)
        large = (self.size[0] + int(more[1]), self.size[1] + int(more[0]))
        scene, ground = self._ground(rng, large)
        page = MovingPage(scene, cameras, self.size, self.min_visible)
        for _ in range(rng.integers(1, self.max_digits + 1)):
            digit = int(rng.integers(10))
            glyph = pick(rng, glyphs(self.split)[digit])
            height = math.exp(rng.uniform(*np.log(self.digit_size)))
            angle = math.radians(rng.uniform(-MAX_ANGLE, MAX_ANGLE))
            alpha, _ = turned(rng, glyph.ink, height, angle)
            page.draw(rng, self.first_digit + digit, alpha, self.max_speed)
        targets = [page.target(t, index * self.frames + t) for t in range(self.frames)]
        if ground is not None:
            for target in targets:
                self._add_segments(target, ground)
        return torch.stack([page.frame(t) for t in range(self.frames)]), targets

    def _ground(self, rng: np.random.Generator, size: tuple[int, int]) -> tuple[Array, Any]:
        """What the digits move on, ``[3, *size]``, and the label of each pixel where it has one."""
        return background(rng, pick(rng, photographs(self.split)), size), None

    def _add_segments(self, target: dict[str, Any], ground: npt.NDArray[np.int64]) -> None:
        """Adds to a frame's target the classes and ids of all pixels.

        Args:
            ground: ``[h, w]``, the labels of what all frames see parts of.
        """
        raise NotImplementedError


def flow_between(later: dict[str, Any], earlier: dict[str, Any]) -> Tensor:
    """Where in an earlier frame of a clip each pixel of a later one was.

    Args:
        later: a target of ``MovingDigits``.
        earlier: another of the same clip, before or after it.

    Returns:
        ``[2, H, W]`` float32 as (x, y): how many pixels from where a pixel is to where it was, as
        ``fastcv.ops.flow_warp`` takes it. What has come into view is where it would have been seen.

    Example:
        >>> import torch, fastcv
        >>> from fastcv.data import MovingDigits, flow_between
        >>> frames, targets = MovingDigits("val", size=(128, 160))[1]
        >>> flow = flow_between(targets[3], targets[0])
        >>> again = fastcv.ops.flow_warp(frames[:1], flow[None])[0]
        >>> bool(((again - frames[3]).abs().amax(0) < 0.01).float().mean() > 0.85)
        True
    """
    flow = (later["camera"] - earlier["camera"]).float()
    height, width = later["masks"].shape[1:]
    flow = flow.view(2, 1, 1).repeat(1, height, width)
    for mask, there, here in zip(later["masks"], earlier["places"], later["places"], strict=True):
        flow[:, mask] = (there - here).float()[:, None]
    return flow
