"""Invert, solarize, posterize, autocontrast, equalize: each maps values to values."""

from __future__ import annotations

import torch
from torch import Tensor

from fastcv.augment.color import per_image


def invert(images: Tensor) -> Tensor:
    """The negative.

    Args:
        images: ``[B, 3, H, W]`` in [0, 1].
    """
    return 1 - images


def solarize(images: Tensor, threshold: float | Tensor) -> Tensor:
    """The negative of all values from a threshold on.

    Args:
        images: ``[B, 3, H, W]`` in [0, 1].
        threshold: in [0, 1]; a number, or one for each image ``[B]``.

    Example:
        >>> import torch
        >>> from fastcv.augment import solarize
        >>> solarize(torch.tensor([0.2, 0.6, 0.9]).view(1, 3, 1, 1), 0.5).flatten()
        tensor([0.2000, 0.4000, 0.1000])
    """
    return torch.where(images >= per_image(threshold, images), 1 - images, images)


def posterize(images: Tensor, bits: int | Tensor) -> Tensor:
    """Keep only the first bits of the 8 of each value.

    Args:
        images: ``[B, 3, H, W]`` in [0, 1].
        bits: 0 to 8; a number, or one for each image ``[B]``.
    """
    bits = torch.as_tensor(bits, device=images.device)
    step = 2.0 ** (8 - per_image(bits, images))
    return (_to_8_bits(images) / step).floor() * step / 255


def autocontrast(images: Tensor) -> Tensor:
    """Stretch each channel to the whole of [0, 1]; a channel of one value stays.

    Args:
        images: ``[B, 3, H, W]`` in [0, 1].
    """
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    span = high - low
    stretched = ((images - low) / span.clamp(min=torch.finfo(images.dtype).tiny)).clamp(0, 1)
    return torch.where(span > 0, stretched, images)


def equalize(images: Tensor) -> Tensor:
    """Map each channel's values so that all of the 256 are about equally frequent.

    As PIL does it, on 8 bits: what is in the greatest value's bin is not shared out, and a channel
    with next to no other value stays.

    Args:
        images: ``[B, 3, H, W]`` in [0, 1].
    """
    values = _to_8_bits(images).long().flatten(2)
    histogram = values.new_zeros(*values.shape[:2], 256)
    histogram.scatter_add_(2, values, torch.ones_like(values))
    total = histogram.cumsum(dim=2)
    of_greatest = histogram.gather(2, values.amax(dim=2, keepdim=True))
    step = (values.shape[2] - of_greatest) // 255
    before = total - histogram
    table = ((before + step // 2) // step.clamp(min=1)).clamp(max=255)
    table = torch.where(step > 0, table, torch.arange(256, device=images.device))
    return (table.gather(2, values) / 255).view_as(images).to(images.dtype)


def _to_8_bits(images: Tensor) -> Tensor:
    return (images * 255).round()
