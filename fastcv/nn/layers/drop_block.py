"""DropBlock: dropout of whole blocks of a map, for neighbouring pixels say much the same."""

from __future__ import annotations

import torch
import torch.fx
from torch import Tensor, nn
from torch.nn import functional as F


@torch.fx.wrap
def drop_block2d(
    input: Tensor,
    p: float,
    block_size: int,
    inplace: bool = False,
    eps: float = 1e-06,
    training: bool = True,
) -> Tensor:
    """Zero square blocks of each map at random; scale the rest, so that the mean stays.

    Args:
        input: ``[B, C, H, W]``.
        p: about the part of the pixels that is zeroed, in [0, 1].
        block_size: a block's side in pixels, odd; at most H and W count.
        inplace: whether ``input`` itself is changed.
        eps: added to the number of pixels that are kept.
        training: whether anything is zeroed.

    Returns:
        A tensor like ``input``; ``input`` itself where nothing can be zeroed.

    Raises:
        ValueError: ``p`` is no probability, ``block_size`` is even or below 1, or ``input`` has
            another number of dimensions.

    Source: Ghiasi et al., "DropBlock" (2018), algorithm 1.

    Example:
        >>> import torch, fastcv
        >>> out = fastcv.ops.drop_block2d(torch.ones(1, 1, 9, 9), 1.0, block_size=9)
        >>> out.unique()
        tensor([0.])
    """
    return _drop_blocks("drop_block2d", 2, input, p, block_size, inplace, eps, training)


@torch.fx.wrap
def drop_block3d(
    input: Tensor,
    p: float,
    block_size: int,
    inplace: bool = False,
    eps: float = 1e-06,
    training: bool = True,
) -> Tensor:
    """Zero cubic blocks of each volume at random, as ``drop_block2d`` does squares of maps.

    Args:
        input: ``[B, C, D, H, W]``.
        p: about the part of the pixels that is zeroed, in [0, 1].
        block_size: a block's side in pixels, odd; at most D, H and W count.
        inplace: whether ``input`` itself is changed.
        eps: added to the number of pixels that are kept.
        training: whether anything is zeroed.

    Returns:
        A tensor like ``input``; ``input`` itself where nothing can be zeroed.

    Raises:
        ValueError: ``p`` is no probability, ``block_size`` is even or below 1, or ``input`` has
            another number of dimensions.

    Source: Ghiasi et al., "DropBlock" (2018), algorithm 1, with a third axis.

    Example:
        >>> import torch, fastcv
        >>> out = fastcv.ops.drop_block3d(torch.ones(1, 1, 5, 9, 9), 0.0, block_size=3)
        >>> out.unique()
        tensor([1.])
    """
    return _drop_blocks("drop_block3d", 3, input, p, block_size, inplace, eps, training)


class DropBlock2d(nn.Module):
    """``drop_block2d`` as a module, in training; see there.

    Example:
        >>> import torch, fastcv
        >>> x = torch.rand(1, 4, 9, 9)
        >>> fastcv.ops.DropBlock2d(0.1, block_size=3).eval()(x) is x
        True
    """

    def __init__(
        self, p: float, block_size: int, inplace: bool = False, eps: float = 1e-06
    ) -> None:
        super().__init__()
        self.p = p
        self.block_size = block_size
        self.inplace = inplace
        self.eps = eps

    def forward(self, input: Tensor) -> Tensor:
        return drop_block2d(input, self.p, self.block_size, self.inplace, self.eps, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}, block_size={self.block_size}, inplace={self.inplace}"


class DropBlock3d(DropBlock2d):
    """``drop_block3d`` as a module, in training; see there.

    Example:
        >>> import torch, fastcv
        >>> x = torch.rand(1, 4, 5, 9, 9)
        >>> fastcv.ops.DropBlock3d(0.1, block_size=3).eval()(x) is x
        True
    """

    def forward(self, input: Tensor) -> Tensor:
        return drop_block3d(input, self.p, self.block_size, self.inplace, self.eps, self.training)


def _drop_blocks(
    op: str,
    axes: int,
    input: Tensor,
    p: float,
    block_size: int,
    inplace: bool,
    eps: float,
    training: bool,
) -> Tensor:
    if p < 0 or p > 1:
        raise ValueError(f"{op}: p must be in [0, 1], got {p}")
    if input.dim() != 2 + axes:
        raise ValueError(f"{op}: input must have {2 + axes} dimensions, got {list(input.shape)}")
    if not training or p == 0:
        return input
    sizes = input.shape[2:]
    side = min(block_size, min(sizes))
    if side < 1 or side % 2 == 0:
        raise ValueError(f"{op}: block_size must be odd and at least 1, got {side}")

    # Where blocks begin: as many as make `p` of all pixels, if none overlapped.
    pixels, places = 1, 1
    for size in sizes:
        pixels *= size
        places *= size - side + 1
    begins = input.new_empty(list(input.shape[:2]) + [size - side + 1 for size in sizes])
    begins.bernoulli_(p * pixels / (side**axes * places))

    # A pixel is in a block if one begins at it or less than a side before it, on every axis.
    begins = F.pad(begins, [side - 1] * (2 * axes))
    dropped = F.max_pool2d(begins, side, 1) if axes == 2 else F.max_pool3d(begins, side, 1)
    kept = 1 - dropped
    scale = kept.numel() / (eps + kept.sum())
    if inplace:
        return input.mul_(kept).mul_(scale)
    return input * kept * scale
