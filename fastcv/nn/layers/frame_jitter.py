"""Frames that now and then stand in for their neighbours."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class FrameJitter(nn.Module):
    """In training each frame becomes the one at its place, one behind, or two behind it.

    The middle one is the most probable, so all are on average one frame late. In eval mode nothing
    happens.

    Args:
        p: probability of shift 0, and of shift 2.

    Raises:
        ValueError: a probability that is not in 0 to 0.5.

    Source: Chorowski et al., "Unsupervised Speech Representation Learning Using WaveNet
        Autoencoders" (2019), section III-C, whose shifts are -1 to 1; those of 0 to 2, the same for
        all sounds of a batch, are ResDAVEnet-VQ's code's.

    Example:
        >>> import torch
        >>> from fastcv.nn.layers.frame_jitter import FrameJitter
        >>> FrameJitter(0.0)(torch.arange(4.0)[None])
        tensor([[1., 2., 3., 3.]])
    """

    def __init__(self, p: float = 0.12) -> None:
        super().__init__()
        if not 0 <= p <= 0.5:
            raise ValueError(f"p must be 0 to 0.5, got {p}")
        self.p = p

    def forward(self, frames: Tensor) -> Tensor:
        """The same shape ``[..., T]``; the last frame stands in for those behind it."""
        if not self.training:
            return frames
        count = frames.shape[-1]
        drawn = torch.rand(count, device=frames.device)
        shifts = (drawn >= self.p).long() + (drawn >= 1 - self.p).long()
        places = torch.arange(count, device=frames.device) + shifts
        return frames.index_select(-1, places.clamp(max=count - 1))

    def extra_repr(self) -> str:
        return f"p={self.p}"
