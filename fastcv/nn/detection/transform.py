"""What a detector does to images before it looks at them: normalise, resize, pad into one batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ImageBatch(NamedTuple):
    """Images of several sizes as one tensor."""

    tensors: Tensor
    """``[B, 3, H, W]``: each image at the top left, zeros beyond."""
    sizes: list[tuple[int, int]]
    """Each image's ``(height, width)`` within ``tensors``."""
    original_sizes: list[tuple[int, int]]
    """Each image's ``(height, width)`` as it came."""


class DetectionTransform(nn.Module):
    """Images ``[3, H, W]`` in [0, 1] to a normalised, resized and padded batch.

    Args:
        min_size: the shorter side after resizing, in pixels, unless
        max_size: the longer one would exceed this.
        mean: subtracted from each channel.
        std: what that is divided by.
        size_divisible: the batch's sides are multiples of it, so that every level of a pyramid
            halves exactly.
        fixed_size: ``(height, width)`` of every image after resizing, whatever its proportions;
            ``min_size`` and ``max_size`` say nothing then.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.transform import DetectionTransform
        >>> batch = DetectionTransform(min_size=64, max_size=100)([torch.rand(3, 40, 50)])
        >>> batch.tensors.shape, batch.sizes, batch.original_sizes
        (torch.Size([1, 3, 64, 96]), [(64, 80)], [(40, 50)])
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        min_size: int = 800,
        max_size: int = 1333,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        size_divisible: int = 32,
        fixed_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.min_size = min_size
        self.max_size = max_size
        self.size_divisible = size_divisible
        self.fixed_size = fixed_size
        for name, values in (("mean", mean), ("std", std)):
            constant = torch.tensor(values, device="cpu")[:, None, None]
            self.register_buffer(name, constant, persistent=False)

    def forward(self, images: Sequence[Tensor] | Tensor) -> ImageBatch:
        """The batch.

        Args:
            images: a list of ``[3, H, W]`` of any sizes, or ``[B, 3, H, W]``; floating, in [0, 1].

        Raises:
            TypeError: an image is no tensor, or not floating.
            ValueError: no images, or one of another shape.
        """
        check_images(images)
        resized = [self._resize((image - self.mean) / self.std) for image in images]
        return ImageBatch(
            self._pad(resized), [_size(image) for image in resized], [_size(i) for i in images]
        )

    def _resize(self, image: Tensor) -> Tensor:
        height, width = _size(image)
        size = self.fixed_size or self._scaled(height, width)
        if size == (height, width):
            return image
        return F.interpolate(image[None], size=size, mode="bilinear", align_corners=False)[0]

    def _scaled(self, height: int, width: int) -> tuple[int, int]:
        shorter, longer = min(height, width), max(height, width)
        scale = min(self.min_size / shorter, self.max_size / longer)
        return max(math.floor(height * scale), 1), max(math.floor(width * scale), 1)

    def padded(self, length: int) -> int:
        """The batch's side, where the longest of the images is ``length``."""
        return math.ceil(length / self.size_divisible) * self.size_divisible

    def _pad(self, images: list[Tensor]) -> Tensor:
        height, width = (self.padded(max(image.shape[axis] for image in images)) for axis in (1, 2))
        if len(images) == 1 and _size(images[0]) == (height, width):
            return images[0][None]
        batch = images[0].new_zeros(len(images), 3, height, width)
        for i, image in enumerate(images):  # not zip: autograd refuses to write into its views
            batch[i, :, : image.shape[1], : image.shape[2]] = image
        return batch


def check_images(images: Sequence[Tensor] | Tensor) -> None:
    """Raises what ``DetectionTransform`` promises."""
    if len(images) == 0:
        raise ValueError("images must hold at least one image, got none")
    for i, image in enumerate(images):
        if not isinstance(image, Tensor):
            raise TypeError(
                f"images[{i}] must be a tensor [3, H, W], got {type(image).__name__}: "
                "predict() takes files, PIL images and arrays"
            )
        if image.dim() != 3 or image.shape[0] != 3 or 0 in image.shape:
            raise ValueError(f"images[{i}] must be [3, H, W], got {list(image.shape)}")
        if not image.is_floating_point():
            raise TypeError(
                f"images[{i}] must be floating point in [0, 1], got {image.dtype}: divide uint8 "
                "by 255"
            )


def resize_boxes(boxes: Tensor, old: tuple[int, int], new: tuple[int, int]) -> Tensor:
    """Boxes of an image of one size, in the pixels of another.

    Args:
        boxes: ``[..., 4]`` as ``(x1, y1, x2, y2)``.
        old: ``(height, width)`` that the boxes are in.
        new: ``(height, width)`` that they shall be in.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.transform import resize_boxes
        >>> resize_boxes(torch.tensor([[1.0, 2.0, 3.0, 4.0]]), (10, 10), (20, 30))
        tensor([[3., 4., 9., 8.]])
    """
    y, x = new[0] / old[0], new[1] / old[1]
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack([x1 * x, y1 * y, x2 * x, y2 * y], dim=-1)


def _size(image: Tensor) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]
