"""Clips of digits that move on grass, brick and gravel: a small task of video panoptics."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fastcv.data._drawn_page import Array
from fastcv.data.drawn_streets import STUFF, street
from fastcv.data.moving_digits import MovingDigits
from fastcv.results import Panoptic


class MovingStreets(MovingDigits):
    """``MovingDigits`` on the ground of ``DrawnStreets``: things that move, on stuff that does not.

    Arguments, frames and targets are those of ``MovingDigits``, but that labels are those of
    ``DrawnStreets``: grass 0, brick 1, gravel 2, then the digits. A target also has ``panoptic``, a
    ``Panoptic`` (the id of a stuff is its label + 1, that of a digit 3 + its number, the same in
    all frames), and ``semantic`` ``[H, W]`` int64, the class of each pixel. No pixel is void.

    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits" (1998).

    Example:
        >>> from fastcv.data import MovingStreets
        >>> clips = MovingStreets("val", size=(128, 160))
        >>> frames, targets = clips[3]
        >>> frames.shape, targets[11]["panoptic"]
        (torch.Size([12, 3, 128, 160]), Panoptic(128x160: ...))
    """

    classes = (*STUFF, *"0123456789")
    num_stuff = first_digit = len(STUFF)
    things = tuple(range(num_stuff, len(classes)))

    def _ground(
        self, rng: np.random.Generator, size: tuple[int, int]
    ) -> tuple[Array, npt.NDArray[np.int64]]:
        return street(rng, size, self.split)

    def _add_segments(self, target: dict[str, Any], ground: npt.NDArray[np.int64]) -> None:
        x, y = target["camera"].tolist()
        height, width = self.size
        ids = torch.from_numpy(ground[y : y + height, x : x + width].astype(np.int32)) + 1
        labels = {label + 1: label for label in range(self.num_stuff)}
        rows = zip(target["masks"], target["ids"].tolist(), target["labels"].tolist(), strict=True)
        for mask, id, label in rows:
            ids[mask] = self.num_stuff + id
            labels[self.num_stuff + id] = label
        panoptic = Panoptic.from_map(ids, labels, self.classes, self.things)
        target["panoptic"], target["semantic"] = panoptic, panoptic.semantic
