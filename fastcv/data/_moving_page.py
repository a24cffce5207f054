"""Drawing digits on all frames of a clip, each on its path."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fastcv.data._drawn_page import ATTEMPTS, Array, _colour, _extents, _legible

Places = npt.NDArray[np.int64]  # [T, 2], x and y in whole pixels for each frame


class MovingPage:
    """The frames of a clip, and what is visible of each digit in each of them.

    Args:
        background: ``[3, height, width]``, larger than a frame by what the camera moves.
        cameras: of each frame's corner in the background.
        size: height and width of the frames.
        min_visible: the minimum share of a digit that is seen, in every frame.
    """

    def __init__(
        self, background: Array, cameras: Places, size: tuple[int, int], min_visible: float
    ) -> None:
        high, wide = size
        self.cameras, self.min_visible = cameras, min_visible
        self.frames = np.stack([background[:, y : y + high, x : x + wide] for x, y in cameras])
        self.owners = np.zeros((len(cameras), high, wide), np.uint8)  # who is on top; 0: nobody
        self.labels: list[int] = []
        self.places: list[Places] = []
        self.pixels: list[int] = []  # of the whole digit

    def draw(self, rng: np.random.Generator, label: int, alpha: Array, max_speed: float) -> None:
        """Draws a digit on a path where it can be read in every frame, if there is one."""
        high, wide = alpha.shape
        rows, columns = self.owners.shape[1:]
        times = np.arange(len(self.frames))[:, None]
        for _ in range(ATTEMPTS):
            start = rng.uniform((-wide / 4, -high / 4), (columns - 0.75 * wide, rows - 0.75 * high))
            places = np.rint(start + times * rng.uniform(-max_speed, max_speed, 2)).astype(np.int64)
            luma = rng.random()
            if all(self._fits(t, alpha, x, y, luma) for t, (x, y) in enumerate(places.tolist())):
                break
        else:
            return
        self.labels.append(label)
        self.places.append(places)
        self.pixels.append(int((alpha > 0.5).sum()))
        colour = _colour(rng, luma)[:, None, None]
        for t, (x, y) in enumerate(places.tolist()):
            (frame, owner), opacity = self._under(t, alpha, x, y)
            frame += opacity * (colour - frame)
            owner[opacity > 0.5] = len(self.labels)

    def _under(self, t: int, alpha: Array, x: int, y: int) -> tuple[tuple[Array, Any], Array]:
        """What a digit at (x, y) lies on: the frame and its owners there; and its part in view."""
        high, wide = alpha.shape
        rows, columns = self.owners.shape[1:]
        down, across = slice(max(y, 0), max(y + high, 0)), slice(max(x, 0), max(x + wide, 0))
        opacity = alpha[max(-y, 0) : max(rows - y, 0), max(-x, 0) : max(columns - x, 0)]
        return (self.frames[t][:, down, across], self.owners[t][down, across]), opacity

    def _fits(self, t: int, alpha: Array, x: int, y: int, luma: float) -> bool:
        """Whether a digit there can be read, and enough is left of those below it."""
        (frame, owner), opacity = self._under(t, alpha, x, y)
        ink = opacity > 0.5
        if ink.sum() < self.min_visible * (alpha > 0.5).sum():
            return False
        covered = np.bincount(owner[ink], minlength=len(self.labels) + 1)[1:]
        seen = self._seen(t)
        if (seen - covered < self.min_visible * np.array(self.pixels)).any():
            return False
        return _legible(frame, ink, luma)

    def _seen(self, t: int) -> npt.NDArray[np.int64]:
        """How many pixels are seen of each digit."""
        return np.bincount(self.owners[t].ravel(), minlength=len(self.labels) + 1)[1:]

    def frame(self, t: int) -> Tensor:
        return torch.from_numpy(self.frames[t])

    def target(self, t: int, image_id: int) -> dict[str, Any]:
        """The target of a frame, as ``MovingDigits`` describes it."""
        ids = np.arange(1, len(self.labels) + 1)
        masks = self.owners[t] == ids[:, None, None]
        places = np.array([of_digit[t] for of_digit in self.places]).reshape(-1, 2)
        visible = self._seen(t) / np.maximum(self.pixels, 1)
        return {
            "boxes": torch.from_numpy(_extents(masks)),
            "labels": torch.tensor(self.labels, dtype=torch.int64),
            "masks": torch.from_numpy(masks),
            "ids": torch.from_numpy(ids),
            "visible": torch.from_numpy(visible.astype(np.float32)),
            "places": torch.from_numpy(places.astype(np.int64)),
            "camera": torch.from_numpy(self.cameras[t].copy()),
            "area": torch.from_numpy(masks.sum((1, 2), dtype=np.float32)),
            "iscrowd": torch.zeros(len(ids), dtype=torch.bool),
            "image_id": image_id,
        }
