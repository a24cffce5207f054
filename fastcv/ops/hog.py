"""Histograms of oriented gradients."""

from __future__ import annotations

import torch
from torch import Tensor


def hog(images: Tensor, orientations: int = 9, cell_size: int = 8, block_size: int = 2) -> Tensor:
    """Which directions a picture's edges have, cell by cell, whatever the light.

    Each pixel counts in its cell with the length of its gradient (of the channel where that is
    longest), in the bin of its direction over half a turn. Cells are scaled in overlapping blocks
    to length 1, cut at 0.2 and scaled again ("L2-Hys").

    Args:
        images: ``[B, C, H, W]``, float64, float32, float16 or bfloat16.
        orientations: bins, 1 to 32; bin k begins at k * 180 / orientations degrees, from the x axis
            towards the y axis.
        cell_size: pixels along the side of a cell.
        block_size: cells along the side of a block, 1 to 8.

    Returns:
        ``[B, blocks in y, blocks in x, block_size, block_size, orientations]`` in the dtype of
        ``images``; blocks are one cell apart. Flattened, it is scikit-image's ``hog`` with square
        cells and blocks. It has no gradient.

    Raises:
        RuntimeError: ``images`` has not 4 dimensions, is not floating point or is smaller than a
            block, or a number out of its range.

    Source: Dalal and Triggs, "Histograms of Oriented Gradients for Human Detection" (2005).

    Example:
        >>> import torch, fastcv
        >>> fastcv.ops.hog(torch.rand(1, 3, 128, 64)).flatten(1).shape  # a person's window
        torch.Size([1, 3780])
        >>> edge = torch.zeros(1, 1, 8, 8)
        >>> edge[..., 4:] = 1.0  # gradients along x
        >>> fastcv.ops.hog(edge, orientations=3, block_size=1).flatten()
        tensor([1., 0., 0.])
    """
    return torch.ops.fastcv.hog(images, orientations, cell_size, block_size)


@torch.library.register_fake("fastcv::hog")
def _(images: Tensor, orientations: int, cell_size: int, block_size: int) -> Tensor:
    batch, _, height, width = images.shape
    blocks = [side // cell_size - block_size + 1 for side in (height, width)]
    return images.new_empty(batch, *blocks, block_size, block_size, orientations)
