"""How images reach the networks that find points."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor

from fastcv.nn.detection.transform import DetectionTransform, ImageBatch

# Of COCO's training images, in RGB.
COCO_MEAN = (0.47026115, 0.44719302, 0.40789654)
COCO_STD = (0.27809835, 0.27408164, 0.28863828)


class PointTransform(DetectionTransform):
    """Images to a normalised batch in BGR, as the published weights were trained.

    Args:
        size: the longer side after resizing, in pixels.
        size_divisible: the batch's sides, plus ``less``, are multiples of it.
        less: pixels. With 1, a map of stride 4 lies symmetrically on the image: CornerNet takes 511
            pixels, for 128 cells.

    Example:
        >>> import torch
        >>> from fastcv.nn.points.transform import PointTransform
        >>> transform = PointTransform(size=511, size_divisible=128, less=1)
        >>> transform([torch.rand(3, 480, 640)]).tensors.shape
        torch.Size([1, 3, 383, 511])
    """

    def __init__(self, size: int, size_divisible: int, less: int = 0) -> None:
        super().__init__(size, size, COCO_MEAN, COCO_STD, size_divisible)
        self.less = less

    def forward(self, images: Sequence[Tensor] | Tensor) -> ImageBatch:
        batch = super().forward(images)
        return batch._replace(tensors=batch.tensors.flip(1))

    def padded(self, length: int) -> int:
        step = self.size_divisible
        return math.ceil((length + self.less) / step) * step - self.less
