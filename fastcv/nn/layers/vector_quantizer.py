"""Frames as the nearest entries of a codebook, which follows them as running means."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from fastcv.ops import vq_codes


class Quantized(NamedTuple):
    """What ``VectorQuantizer`` makes of frames.

    Args:
        frames: ``[B, D, T]``, each one of the codebook. Gradients pass as if they were the input.
        codes: ``[B, T]`` int64; -1 of a frame with NaN or infinities.
        commitment: how far the input is from its codes: a scalar to be minimised.
    """

    frames: Tensor
    codes: Tensor
    commitment: Tensor


class VectorQuantizer(nn.Module):
    """Each frame becomes the nearest of a codebook's vectors.

    No gradient reaches the codebook. In training it follows the frames: a code becomes the running
    mean of what it is the nearest of. Its numbers are buffers, so a run that is resumed goes on
    with the same bits.

    Args:
        codes: rows of the codebook.
        size: numbers of each.
        decay: of the running means.
        commitment: weight of that loss.
        epsilon: codes that are nobody's keep this share.

    Raises:
        ValueError: numbers out of their range.

    Source: van den Oord et al., "Neural Discrete Representation Learning" (2017), section 3.2 and
        appendix A.1. Constants, keys and that codes start from a normal distribution with a mass
        of 1 each are ResDAVEnet-VQ's code's.

    Example:
        >>> import torch
        >>> from fastcv.nn import VectorQuantizer
        >>> layer = VectorQuantizer(8, 4).eval()
        >>> found = layer(torch.randn(2, 4, 5))
        >>> found.codes.shape, torch.equal(found.frames[0, :, 0], layer.codebook[found.codes[0, 0]])
        (torch.Size([2, 5]), True)
    """

    _ema_cluster_size: Tensor
    _ema_w: Tensor

    def __init__(
        self,
        codes: int,
        size: int,
        *,
        decay: float = 0.99,
        commitment: float = 1.0,
        epsilon: float = 1e-8,
    ) -> None:
        super().__init__()
        if min(codes, size) < 1 or not 0 <= decay < 1 or commitment < 0 or not epsilon > 0:
            raise ValueError(
                "codes and size must be at least 1, decay in [0, 1), commitment 0 or more and "
                f"epsilon above 0, got {codes}, {size}, {decay}, {commitment} and {epsilon}"
            )
        self.decay, self.commitment, self.epsilon = decay, commitment, epsilon
        self._embedding = _Codebook(codes, size)
        self.register_buffer("_ema_w", self.codebook.clone())
        self.register_buffer("_ema_cluster_size", torch.ones(codes))

    @property
    def codebook(self) -> Tensor:
        """``[codes, size]``."""
        return self._embedding.weight

    def forward(self, frames: Tensor, mask: Tensor | None = None) -> Quantized:
        """Quantises all frames, and learns from those that count.

        Args:
            frames: ``[B, size, T]``.
            mask: ``[B, T]`` bool, True where a frame counts; padding is quantised as well, but
                neither the codebook nor ``commitment`` see it. None: all count.

        Raises:
            ValueError: frames or a mask of another shape.
        """
        if frames.ndim != 3 or frames.shape[1] != self.codebook.shape[1]:
            raise ValueError(
                f"frames must be [B, {self.codebook.shape[1]}, T], got {list(frames.shape)}"
            )
        batch, size, count = frames.shape
        if mask is not None and (mask.shape != (batch, count) or mask.dtype != torch.bool):
            raise ValueError(
                f"mask must be [{batch}, {count}] bool, got {list(mask.shape)} {mask.dtype}"
            )
        flat = frames.transpose(1, 2).reshape(-1, size)
        seen = None if mask is None else mask.reshape(-1)
        codes, chosen = self._nearest(flat.detach().to(self.codebook), seen)
        chosen = chosen.to(flat)
        squares = (chosen - flat).square()
        if seen is not None:
            squares = squares[seen]
        if self.training:
            chosen = flat + (chosen - flat).detach()
        return Quantized(
            chosen.view(batch, count, size).transpose(1, 2),
            codes.view(batch, count),
            self.commitment * squares.mean(),
        )

    @torch.no_grad()
    def _nearest(self, vectors: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
        """Codes ``[N]`` of vectors, and those rows of the codebook; in training it moves then."""
        if seen is None:
            codes, counts, sums = vq_codes(vectors, self.codebook)
        else:
            codes = torch.empty_like(seen, dtype=torch.int64)
            codes[seen], counts, sums = vq_codes(vectors[seen], self.codebook)
            codes[~seen], _, _ = vq_codes(vectors[~seen], self.codebook)
        chosen = self.codebook[codes.clamp(min=0)]
        # What has no code stays what it is, so that it is seen.
        chosen = torch.where((codes < 0)[:, None], vectors, chosen)
        if self.training:
            self._follow(counts, sums)
        return codes, chosen

    def _follow(self, counts: Tensor, sums: Tensor) -> None:
        """The running means go one batch on, and the codebook with them."""
        share = 1 - self.decay
        masses = self._ema_cluster_size
        masses.mul_(self.decay).add_(counts.to(masses), alpha=share)
        total = masses.sum()
        # Nobody's codes keep a little, and all add up to what they did.
        masses.add_(self.epsilon).mul_(total / (total + len(masses) * self.epsilon))
        self._ema_w.mul_(self.decay).add_(sums.to(self._ema_w), alpha=share)
        self.codebook.copy_(self._ema_w / masses[:, None])

    def extra_repr(self) -> str:
        codes, size = self.codebook.shape
        return f"{codes}, {size}, decay={self.decay}, commitment={self.commitment}"


class _Codebook(nn.Module):
    """A buffer by the name that checkpoints have, ``_embedding.weight``."""

    weight: Tensor

    def __init__(self, codes: int, size: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.randn(codes, size))
