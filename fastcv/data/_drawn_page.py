"""Drawing digits on an image, and keeping account of what is visible of each."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from fastcv.data._drawn_sources import INK, MARGIN

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

LUMA = np.array([0.299, 0.587, 0.114], np.float32)

# Keypoints lie so far from the centre of the upright frame to its sides: on the sides themselves,
# a turn would take many of them out of the box about the ink, where no head looks for them.
INSET = 0.8

ATTEMPTS = 30  # to find a place and a colour in which a digit is legible
MIN_CONTRAST = 0.25  # in luma, between a digit and what is under it
MIN_SHARE_IN_CONTRAST = 0.9  # of its pixels


def turned(
    rng: np.random.Generator, ink: Image.Image, height: float, angle: float
) -> tuple[Array, Array]:
    """A glyph as it is drawn: alpha ``[h, w]``, and its keypoints in there, ``[5, 2]``."""
    wide, high = ink.width - 2 * MARGIN, ink.height - 2 * MARGIN
    scale = height / high
    # From the glyph about its centre to the image about the digit's centre.
    slant, stretch = rng.uniform(-0.2, 0.2), rng.uniform(0.85, 1.2)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix = scale * turn @ np.array([[stretch, slant], [0, 1]])
    whole = np.array([ink.width, ink.height]) / 2
    reach = np.abs(matrix) @ whole
    centre = np.ceil(reach) + rng.uniform(0, 1, 2)
    columns, rows = np.ceil(centre + reach).astype(int).tolist()
    back = np.linalg.inv(matrix)
    shift = whole - back @ centre
    rendered = ink.transform(
        (columns, rows),
        Image.Transform.AFFINE,
        (*back[0], shift[0], *back[1], shift[1]),
        Image.Resampling.BILINEAR,
    )
    ends = np.array([[0, -high], [wide, 0], [0, high], [-wide, 0], [0, 0]]) / 2 * INSET
    # The edge of the ink is made about as sharp as pixels allow, at every size.
    edge = (np.asarray(rendered, np.float32) / 255 - INK) * max(1.0, height / 16)
    return np.clip(edge + 0.5, 0, 1), (ends @ matrix.T + centre).astype(np.float32)


class Page:
    """An image that digits are drawn on, and what is visible of each."""

    def __init__(self, image: Array, min_visible: float) -> None:
        self.image = image
        self.min_visible = min_visible
        self.owner = np.zeros(image.shape[1:], np.uint8)  # which digit is on top; 0: none
        self.labels: list[int] = []
        self.keypoints: list[Array] = []
        # Visible pixels that each digit can lose; the first entry is for places without a digit.
        self.spare = np.array([np.inf])

    def draw(self, rng: np.random.Generator, label: int, alpha: Array, keypoints: Array) -> None:
        """Draws a digit where it can be read and leaves the others legible, if there is room."""
        high, wide = alpha.shape
        rows, columns = self.image.shape[1:]
        mask = alpha > 0.5
        min_pixels = self.min_visible * mask.sum()
        for _ in range(ATTEMPTS):
            x = int(rng.integers(-wide // 4, columns - wide + wide // 4 + 1))
            y = int(rng.integers(-high // 4, rows - high + high // 4 + 1))
            luma = rng.random()
            top, left = max(y, 0), max(x, 0)
            ink = mask[top - y : rows - y, left - x : columns - x]
            owner = self.owner[top : y + high, left : x + wide]
            patch = self.image[:, top : y + high, left : x + wide]
            covered = np.bincount(owner[ink], minlength=len(self.spare))
            spare = self.spare - covered
            if covered.sum() >= min_pixels and spare.min() >= 0 and _legible(patch, ink, luma):
                break
        else:
            return
        opacity = alpha[top - y : rows - y, left - x : columns - x]
        patch += opacity * (_colour(rng, luma)[:, None, None] - patch)
        self.labels.append(label)
        self.keypoints.append(keypoints + np.array([x, y], np.float32))
        self.spare = np.append(spare, covered.sum() - min_pixels)
        owner[ink] = len(self.labels)

    def target(self, image_id: int) -> dict[str, Any]:
        """The target of the image, as ``DrawnDigits`` describes it."""
        size = self.image.shape[:0:-1]  # as (x, y)
        count = len(self.labels)
        masks: Mask = self.owner == np.arange(1, count + 1, dtype=np.uint8)[:, None, None]
        keypoints = np.zeros((count, 5, 3), np.float32)
        for i, xy in enumerate(self.keypoints):
            inside = ((xy >= 0) & (xy < size)).all(axis=1)
            keypoints[i, inside, :2], keypoints[i, inside, 2] = xy[inside], 2
        return {
            "boxes": torch.from_numpy(_extents(masks)),
            "labels": torch.tensor(self.labels, dtype=torch.int64),
            "masks": torch.from_numpy(masks),
            "keypoints": torch.from_numpy(keypoints),
            "area": torch.from_numpy(masks.sum((1, 2), dtype=np.float32)),
            "iscrowd": torch.zeros(count, dtype=torch.bool),
            "image_id": image_id,
        }


def _legible(patch: Array, ink: Mask, luma: float) -> bool:
    """Whether ink of that luma stands out from what is under it."""
    under = np.einsum("c,chw->hw", LUMA, patch)[ink]
    return bool(np.mean(np.abs(under - luma) > MIN_CONTRAST) >= MIN_SHARE_IN_CONTRAST)


def _colour(rng: np.random.Generator, luma: float) -> Array:
    """A random colour of the given luma."""
    colour = rng.random(3, np.float32)
    old = float(colour @ LUMA)
    return colour * (luma / old) if luma < old else 1 - (1 - colour) * ((1 - luma) / (1 - old))


def _extents(masks: Mask) -> Array:
    """The box about each mask, none of them empty."""
    columns, rows = masks.max(axis=1), masks.max(axis=2)
    ends = [
        columns.argmax(axis=1),
        rows.argmax(axis=1),
        columns.shape[1] - columns[:, ::-1].argmax(axis=1),
        rows.shape[1] - rows[:, ::-1].argmax(axis=1),
    ]
    return np.stack(ends, axis=1).astype(np.float32)
