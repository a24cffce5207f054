"""Brightness, contrast, saturation, sharpness: an image and a plainer one, blended."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

GRAY = (0.2989, 0.587, 0.114)  # what red, green and blue add to the light we see (ITU-R BT.601)


def brightness(images: Tensor, factor: float | Tensor) -> Tensor:
    """Scale the light: 0 is black, 1 the image.

    Args:
        images: ``[B, 3, H, W]`` in [0, 1].
        factor: 0 or more; a number, or one for each image ``[B]``.

    Example:
        >>> import torch
        >>> from fastcv.augment import brightness
        >>> brightness(torch.full((2, 3, 1, 1), 0.4), torch.tensor([0.5, 2.0]))[:, 0, 0, 0]
        tensor([0.2000, 0.8000])
    """
    return _blend(images, torch.zeros_like(images), factor)


def contrast(images: Tensor, factor: float | Tensor) -> Tensor:
    """Move pixels from the image's mean grey: 0 is that grey, 1 the image.

    Args:
        images: ``[B, 3, H, W]`` in [0, 1].
        factor: 0 or more; a number, or one for each image ``[B]``.
    """
    return _blend(images, gray(images).mean(dim=(2, 3), keepdim=True), factor)


def saturation(images: Tensor, factor: float | Tensor) -> Tensor:
    """Move colours from their grey: 0 is a grey image, 1 the image.

    Args:
        images: ``[B, 3, H, W]`` in [0, 1].
        factor: 0 or more; a number, or one for each image ``[B]``.
    """
    return _blend(images, gray(images), factor)


def sharpness(images: Tensor, factor: float | Tensor) -> Tensor:
    """Move pixels from their smoothed neighbourhood: 0 is smooth, 1 the image, 2 sharper.

    The outermost pixels, which have no whole neighbourhood, stay.

    Args:
        images: ``[B, 3, H, W]`` in [0, 1].
        factor: 0 or more; a number, or one for each image ``[B]``.
    """
    kernel = images.new_ones(3, 3)
    kernel[1, 1] = 5
    weight = (kernel / kernel.sum()).expand(3, 1, 3, 3)
    smooth = images.clone()
    if min(images.shape[-2:]) > 2:
        smooth[..., 1:-1, 1:-1] = F.conv2d(images, weight, groups=3)
    return _blend(images, smooth, factor)


def gray(images: Tensor) -> Tensor:
    """The light of each pixel, ``[B, 1, H, W]``."""
    weights = images.new_tensor(GRAY).view(3, 1, 1)
    return (images * weights).sum(dim=1, keepdim=True)


def per_image(value: float | Tensor, images: Tensor) -> Tensor:
    """A number or one for each image, in the shape of the images.

    Raises:
        ValueError: neither one number nor one for each image.
    """
    value = torch.as_tensor(value, dtype=images.dtype, device=images.device)
    if value.ndim and value.shape != images.shape[:1]:
        raise ValueError(
            f"what varies by image must be a number or [{len(images)}], got {list(value.shape)}"
        )
    return value.view(-1, 1, 1, 1)


def _blend(images: Tensor, plain: Tensor, factor: float | Tensor) -> Tensor:
    factor = per_image(factor, images)
    return (factor * images + (1 - factor) * plain).clamp(0, 1)
