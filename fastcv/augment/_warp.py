"""Sampling images where a matrix sends them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def sample(
    images: Tensor,
    matrices: Tensor,
    size: tuple[int, int],
    *,
    mode: str = "bilinear",
    fill: float = 0.0,
) -> Tensor:
    """Images moved by matrices ``[B, 3, 3]`` from old to new pixel coordinates.

    In these coordinates the first pixel reaches from 0 to 1, and its centre is at 0.5.
    """
    back = torch.linalg.inv(matrices.double())
    old, new = (_to_unit(s, back) for s in (images.shape[-2:], size))
    theta = (old @ back @ torch.linalg.inv(new))[:, :2].to(images.device, images.dtype)
    grid = F.affine_grid(theta, [len(images), 1, *size], align_corners=False)
    out = F.grid_sample(images - fill, grid, mode=mode, align_corners=False)
    return out + fill


def _to_unit(size: tuple[int, ...], like: Tensor) -> Tensor:
    """From pixel coordinates to those of ``affine_grid``, -1 to 1."""
    height, width = size
    return like.new_tensor([[2 / width, 0, -1], [0, 2 / height, -1], [0, 0, 1]])
