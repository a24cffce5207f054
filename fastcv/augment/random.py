"""Augmentations whose strength or place is drawn anew for each image."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Generator, Tensor

from fastcv.augment import _random
from fastcv.augment.compose import check_range
from fastcv.augment.crop import resized_crop, shift
from fastcv.augment.cutout import erase
from fastcv.augment.geometry import affine_matrices, flip, warp
from fastcv.augment.targets import Targets


class Vary:
    """A function of images and one number, with a number for each image.

    Args:
        function: such as ``brightness``, ``contrast``, ``saturation``, ``sharpness``,
            ``solarize``.
        low: the minimum.
        high: the maximum.

    Example:
        >>> import torch
        >>> from fastcv import augment
        >>> darker = augment.Vary(augment.brightness, 0.5, 0.9)
        >>> images, _ = darker(torch.ones(2, 3, 4, 4), generator=torch.Generator().manual_seed(0))
        >>> images[:, 0, 0, 0]
        tensor([0.6985, 0.8073])
    """

    def __init__(
        self, function: Callable[[Tensor, Tensor], Tensor], low: float, high: float
    ) -> None:
        check_range("low, high", low, high, -math.inf, math.inf)
        self.function, self.low, self.high = function, low, high

    def __call__(
        self, images: Tensor, targets: Targets = None, *, generator: Generator | None = None
    ) -> tuple[Tensor, Targets]:
        numbers = _random.uniform(self.low, self.high, len(images), generator)
        return self.function(images, numbers), targets


class Flip:
    """Mirror each image with a probability, left to right or top to bottom.

    Args:
        horizontal: the probability of a flip left to right.
        vertical: the probability of a flip top to bottom.
        keypoint_order: as in ``flip``.
    """

    def __init__(
        self,
        horizontal: float = 0.5,
        vertical: float = 0.0,
        keypoint_order: list[int] | None = None,
    ) -> None:
        for name, p in (("horizontal", horizontal), ("vertical", vertical)):
            if not 0 <= p <= 1:
                raise ValueError(f"{name} must be in [0, 1], got {p}")
        self.horizontal, self.vertical = horizontal, vertical
        self.keypoint_order = keypoint_order

    def __call__(
        self, images: Tensor, targets: Targets = None, *, generator: Generator | None = None
    ) -> tuple[Tensor, Targets]:
        across, over = (
            _random.chance(p, len(images), generator) for p in (self.horizontal, self.vertical)
        )
        return flip(
            images,
            targets,
            horizontal=across,
            vertical=over,
            keypoint_order=self.keypoint_order,
        )


class RandomAffine:
    """Rotate, translate, scale and shear each image about its centre.

    Args:
        angle: the greatest turn to either side, in degrees.
        translate: the farthest to any side, as a share of the image's width or height.
        scale: the minimum and the maximum.
        shear: the greatest slant to any side: pixels to the right for each pixel down, and the
            other way round.
        fill: the value outside the image.

    Example:
        >>> import torch
        >>> from fastcv import augment
        >>> images = torch.rand(2, 3, 16, 16)
        >>> boxes = [{"boxes": torch.tensor([[4.0, 4, 9, 9]])}, {"boxes": torch.empty(0, 4)}]
        >>> images, boxes = augment.RandomAffine(angle=30)(images, boxes)
        >>> [len(b["boxes"]) for b in boxes]
        [1, 0]
    """

    def __init__(
        self,
        angle: float = 0.0,
        translate: float = 0.0,
        scale: tuple[float, float] = (1.0, 1.0),
        shear: float = 0.0,
        fill: float = 0.0,
    ) -> None:
        for name, greatest in (("angle", angle), ("translate", translate), ("shear", shear)):
            if greatest < 0:
                raise ValueError(f"{name} must be at least 0, got {greatest}")
        check_range("scale", *scale, 1e-3, 1e3)
        self.angle, self.translate = angle, translate
        self.log_scale = math.log(scale[0]), math.log(scale[1])
        self.shear, self.fill = shear, fill

    def __call__(
        self, images: Tensor, targets: Targets = None, *, generator: Generator | None = None
    ) -> tuple[Tensor, Targets]:
        n, (height, width) = len(images), images.shape[-2:]
        angle, right, down, shear_x, shear_y = (
            _random.uniform(-greatest, greatest, n, generator)
            for greatest in (
                self.angle,
                self.translate * width,
                self.translate * height,
                self.shear,
                self.shear,
            )
        )
        scale = _random.uniform(*self.log_scale, n, generator).exp()
        matrices = affine_matrices(
            (height, width),
            angle=angle,
            translate=(right, down),
            scale=scale,
            shear=(shear_x, shear_y),
        )
        return warp(images, targets, matrices, fill=self.fill)


class RandomResizedCrop:
    """A part of each image, resized: objects get other sizes and places.

    Args:
        size: height and width of the result.
        area: the minimum and maximum share of the image's area.
        aspect: the minimum and maximum width to height of the part.

    Source: Szegedy et al., "Going Deeper with Convolutions" (2015), section 6.
    """

    def __init__(
        self,
        size: tuple[int, int],
        area: tuple[float, float] = (0.08, 1.0),
        aspect: tuple[float, float] = (3 / 4, 4 / 3),
    ) -> None:
        check_range("area", *area, 0, 1)
        check_range("aspect", *aspect, 1e-3, 1e3)
        self.size, self.area, self.aspect = size, area, aspect

    def __call__(
        self, images: Tensor, targets: Targets = None, *, generator: Generator | None = None
    ) -> tuple[Tensor, Targets]:
        size = (images.shape[-2], images.shape[-1])
        boxes = _random.boxes(self.area, self.aspect, len(images), size, generator)
        return resized_crop(images, targets, boxes, self.size)


class PadCrop:
    """Pad each image and cut a part of the old size from it: a shift by whole pixels.

    Args:
        padding: the farthest shift to any side, in pixels.
        fill: the value of the padding.
    """

    def __init__(self, padding: int = 4, fill: float = 0.0) -> None:
        if padding < 0:
            raise ValueError(f"padding must be at least 0, got {padding}")
        self.padding, self.fill = padding, fill

    def __call__(
        self, images: Tensor, targets: Targets = None, *, generator: Generator | None = None
    ) -> tuple[Tensor, Targets]:
        limits = torch.full((len(images),), 2 * self.padding)
        right, down = (_random.below(limits, generator) - self.padding for _ in range(2))
        return shift(images, targets, right, down, fill=self.fill)


class Cutout:
    """Cover a part of each image, wherever it is: no one part must decide.

    Args:
        area: the minimum and maximum share of the image's area.
        aspect: the minimum and maximum width to height.
        fill: the value of the covered pixels.

    Source: DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with
        Cutout" (2017); Zhong et al., "Random Erasing Data Augmentation" (2020).
    """

    def __init__(
        self,
        area: tuple[float, float] = (0.02, 1 / 3),
        aspect: tuple[float, float] = (0.3, 3.3),
        fill: float = 0.0,
    ) -> None:
        check_range("area", *area, 0, 1)
        check_range("aspect", *aspect, 1e-3, 1e3)
        self.area, self.aspect, self.fill = area, aspect, fill

    def __call__(
        self, images: Tensor, targets: Targets = None, *, generator: Generator | None = None
    ) -> tuple[Tensor, Targets]:
        size = (images.shape[-2], images.shape[-1])
        boxes = _random.boxes(self.area, self.aspect, len(images), size, generator)
        return erase(images, boxes, self.fill), targets
