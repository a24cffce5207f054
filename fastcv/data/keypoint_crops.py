"""The objects of a data set with keypoints, a crop each."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv.data.protocols import SizedDataset
from fastcv.nn.landmarks.crops import cut_squares, squares_about


class KeypointCrops(Dataset[tuple[Tensor, tuple[Tensor, Tensor]]]):
    """What models of one object learn from, such as stacked hourglasses: a crop of each object.

    An item is ``(crop, (label, keypoints))``: ``[3, size, size]`` float32 in [0, 1], the label 1,
    and ``[K, 3]``: x and y in pixels of the crop, and the visibility, 0 outside of the crop. The
    crop is the square about the object's box and a quarter larger, as ``predict`` takes it.
    Objects without any keypoint are left out. All crops are made at once and kept as bytes: 12 KiB
    each at a size of 64, 192 KiB at 256.

    Args:
        data: items ``(image, target)`` with ``boxes`` and ``keypoints`` in the targets, such as
            ``CocoDetection(..., keypoints=True)``.
        size: height and width of the crops, in pixels.
        copies: crops of each object; more than one are of use with ``jitter``.
        jitter: squares move by up to so much of their side, to each side, and grow or shrink by up
            to a factor of ``exp(2 * jitter)``.
        seed: of the jitter.

    Raises:
        ValueError: ``size`` or ``copies`` is under 1, ``jitter`` below 0, or targets have no
            keypoints.

    Example:
        >>> from fastcv.data import DrawnDigits, KeypointCrops
        >>> crops = KeypointCrops(DrawnDigits("val", size=(96, 96), length=3), 64)
        >>> crop, (label, keypoints) = crops[0]
        >>> crop.shape, label, keypoints.shape
        (torch.Size([3, 64, 64]), tensor(1), torch.Size([5, 3]))
    """

    def __init__(
        self,
        data: SizedDataset,
        size: int,
        *,
        copies: int = 1,
        jitter: float = 0.0,
        seed: int = 0,
    ) -> None:
        for name, value, minimum in (
            ("size", size, 1),
            ("copies", copies, 1),
            ("jitter", jitter, 0),
        ):
            if value < minimum:
                raise ValueError(f"{name} must be at least {minimum}, got {value}")
        self.size, self.copies, self.jitter = size, copies, jitter
        rng = np.random.default_rng(seed)
        crops, keypoints = [], []
        for index in range(len(data)):
            image, target = data[index]
            for own, points in zip(*self._of_image(rng, image, target), strict=True):
                crops.append(own)
                keypoints.append(points)
        self.crops, self.keypoints = crops, keypoints

    def _of_image(
        self, rng: np.random.Generator, image: Tensor, target: dict[str, Any]
    ) -> tuple[Tensor, Tensor]:
        """Crops as bytes, and keypoints in their pixels."""
        if "keypoints" not in target:
            raise ValueError("the targets must have keypoints, they have " + ", ".join(target))
        seen = (target["keypoints"][..., 2] > 0).any(dim=1)
        boxes = target["boxes"][seen].repeat_interleave(self.copies, dim=0)
        keypoints = target["keypoints"][seen].repeat_interleave(self.copies, dim=0)
        low, high = squares_about(boxes)[:, None].chunk(2, dim=-1)
        moves = torch.from_numpy(rng.uniform(-1, 1, (len(boxes), 1, 3)).astype(np.float32))
        middle, side = (low + high) / 2, high - low
        middle = middle + moves[..., :2] * self.jitter * side
        side = side * (2 * self.jitter * moves[..., 2:]).exp()
        squares = torch.cat([middle - side / 2, middle + side / 2], dim=-1)[:, 0]
        points = (keypoints[..., :2] - squares[:, None, :2]) * (self.size / side)
        inside = ((points >= 0) & (points < self.size)).all(dim=-1, keepdim=True)
        visible = keypoints[..., 2:] * inside
        crops = cut_squares(image, squares, self.size)
        return (crops * 255).round().byte(), torch.cat([points, visible], dim=-1)

    def __len__(self) -> int:
        return len(self.crops)

    def __getitem__(self, index: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return self.crops[index].float() / 255, (torch.tensor(1), self.keypoints[index])
