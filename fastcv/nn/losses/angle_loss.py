"""SphereFace's loss: the angle to one's own class must be several times smaller than to others."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.nn.losses._tensors import check_tensor

MARGIN = 4  # the paper's m
MAX_SOFTNESS, MIN_SOFTNESS = 1500.0, 5.0  # its lambda: at the start, and in the end
PACE = 0.1  # it falls as 1500 / (1 + 0.1 * steps)


def angle_loss(
    cosines: Tensor,
    norms: Tensor,
    labels: Tensor,
    *,
    margin: int = MARGIN,
    softness: float | Tensor = MIN_SOFTNESS,
) -> Tensor:
    """The cross-entropy of ``norm * cos(angle)``, where the own class's cosine is made harder.

    Of an angle t to the own class, it is the mean of ``psi(t)`` with a weight of 1 and ``cos(t)``
    with a weight of ``softness``. ``psi`` is ``cos(margin * t)``, continued so that it falls all
    the way from 0 to pi: ``(-1)^k cos(margin * t) - 2k`` where ``k = floor(margin * t / pi)``.

    Args:
        cosines: ``[B, classes]``, of the angles between embeddings and classes.
        norms: ``[B]``, the embeddings' lengths.
        labels: ``[B]`` int64.
        margin: m, 1 or more; 1 leaves the cosine as it is.
        softness: lambda, 0 or more: the greater, the more like a plain cross-entropy.

    Returns:
        The mean, a scalar.

    Raises:
        TypeError: what is no tensor.
        ValueError: shapes or labels that do not fit, or a margin below 1.

    Source: Liu et al., "SphereFace: Deep Hypersphere Embedding for Face Recognition" (2017),
        equation 7; lambda: its published code.

    Example:
        >>> import torch
        >>> from fastcv.nn.losses.angle_loss import angle_loss
        >>> cosines = torch.tensor([[0.5, 0.1]])  # 60 degrees: k is 1, psi is -cos(240) - 2 = -1.5
        >>> angle_loss(cosines, torch.ones(1), torch.tensor([0]), softness=0.0)
        tensor(1.7839)
    """
    for name, value in (("cosines", cosines), ("norms", norms), ("labels", labels)):
        check_tensor(name, value)
    if cosines.ndim != 2 or norms.shape != cosines.shape[:1]:
        raise ValueError(
            "cosines must be [B, classes] and norms [B], got "
            f"{list(cosines.shape)} and {list(norms.shape)}"
        )
    if labels.shape != norms.shape or labels.dtype != torch.int64:
        raise ValueError(
            f"labels must be int64 [{len(norms)}], got {labels.dtype} {list(labels.shape)}"
        )
    if bool(((labels < 0) | (labels >= cosines.shape[1])).any()):
        raise ValueError(f"labels must be 0 to {cosines.shape[1] - 1}, got {labels.tolist()}")
    if margin < 1:
        raise ValueError(f"margin must be 1 or more, got {margin}")
    own = cosines.gather(1, labels[:, None])
    harder = (psi(own, margin) + softness * own) / (1 + softness)
    logits = cosines.scatter(1, labels[:, None], harder) * norms[:, None]
    return F.cross_entropy(logits, labels)


def psi(cosines: Tensor, margin: int) -> Tensor:
    """Of ``cos(t)``, what falls as ``cos(margin * t)`` does at first, and never rises again.

    Example:
        >>> import torch
        >>> from fastcv.nn.losses.angle_loss import psi
        >>> psi(torch.tensor([1.0, 0.0, -1.0]), 4)  # 0, 90 and 180 degrees
        tensor([ 1., -3., -7.])
    """
    last, multiple = torch.ones_like(cosines), cosines
    for _ in range(margin - 1):  # Chebyshev: acos has no gradient where the angle is 0
        last, multiple = multiple, 2 * cosines * multiple - last
    angle = cosines.detach().clamp(-1, 1).acos()
    k = (margin * angle / math.pi).floor().clamp(max=margin - 1)
    return (1 - 2 * (k % 2)) * multiple - 2 * k


class AngleLoss(nn.Module):
    """``angle_loss`` that begins almost as a plain cross-entropy and becomes harder.

    How often it ran is a buffer: a resumed run goes on where it was.

    Example:
        >>> import torch
        >>> from fastcv.nn.losses.angle_loss import AngleLoss
        >>> loss = AngleLoss()
        >>> loss.softness().item(), loss.steps.fill_(1990) and loss.softness().item()
        (1500.0, 7.5)
    """

    steps: Tensor

    def __init__(self, margin: int = MARGIN) -> None:
        super().__init__()
        self.margin = margin
        self.register_buffer("steps", torch.tensor(0))

    def softness(self) -> Tensor:
        """Lambda now, a scalar."""
        return (MAX_SOFTNESS / (1 + PACE * self.steps)).clamp(min=MIN_SOFTNESS)

    def forward(self, cosines: Tensor, norms: Tensor, labels: Tensor) -> Tensor:
        """As ``angle_loss``; each call in training mode counts as a step."""
        if self.training:
            self.steps += 1
        return angle_loss(
            cosines, norms, labels, margin=self.margin, softness=self.softness().item()
        )
