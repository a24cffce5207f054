"""Panoptic logits at full size, some rows at a time: all together may take more than a gigabyte."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.nn.panoptic.panoptic_logits import panoptic_logits

BAND = 2**24  # numbers at a time, of the semantic logits and of three for each instance


def logit_bands(
    semantic: Tensor,
    boxes: Tensor,
    labels: Tensor,
    masks: Tensor,
    *,
    stride: int,
    size: tuple[int, int],
    num_stuff: int,
    unknown: bool = True,
    numbers: int = BAND,
) -> Iterator[Tensor]:
    """``panoptic_logits`` of semantic logits that are enlarged bilinearly.

    Put together, the bands have the very bits of ``panoptic_logits`` of the whole: the stride is a
    power of two, so a pixel's place between two samples is exact wherever its band begins.

    Args:
        semantic: ``[C, h, w]`` logits, those of stuff first.
        boxes: ``[N, 4]`` in pixels of the enlarged map.
        labels, masks, num_stuff, unknown: as of ``panoptic_logits``.
        stride: how much larger the map is: 2, 4 and so on.
        size: ``(H, W)``, the part of the enlarged map that there are logits of.
        numbers: of a band, about.

    Yields:
        ``[num_stuff + N, rows, W]``, with the unknown class one more, from the top to the bottom.

    Example:
        >>> import torch
        >>> from fastcv.nn.panoptic.logit_bands import logit_bands
        >>> bands = logit_bands(
        ...     torch.rand(3, 8, 8), torch.tensor([[4.0, 4, 20, 20]]), torch.tensor([2]),
        ...     torch.rand(1, 28, 28), stride=4, size=(30, 32), num_stuff=2, numbers=2000,
        ... )
        >>> [tuple(band.shape) for band in bands]
        [(4, 10, 32), (4, 10, 32), (4, 10, 32)]
    """
    height, width = size
    rows = max(numbers // ((semantic.shape[0] + 3 * boxes.shape[0]) * width), 1)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        first = max(top // stride - 1, 0)  # with a sample more above and below
        samples = semantic[None, :, first : (bottom - 1) // stride + 2]
        large = F.interpolate(samples, scale_factor=stride, mode="bilinear", align_corners=False)
        yield panoptic_logits(
            large[0, :, top - first * stride : bottom - first * stride, :width],
            boxes.double() - torch.tensor([0, top, 0, top], device=boxes.device),  # exactly
            labels,
            masks,
            num_stuff=num_stuff,
            unknown=unknown,
        )
