"""A change that people do not see, and after which a recogniser no longer knows who it is."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.models._mode import evaluating
from fastcv.nn.backbones.sphereface import SphereFace20a

MIN_PSNR = 30.0  # decibels
MAX_CHANGE = 32 / 255  # of a value
STEPS = 40
STEP = 0.25  # the length of one, in radii of the ball that the PSNR leaves
ROUNDING = 0.05  # decibels, so that the PSNR is reached in spite of it


def hide_identity(
    images: Tensor,
    recogniser: SphereFace20a,
    *,
    mask: Tensor | None = None,
    min_psnr: float = MIN_PSNR,
    max_change: float = MAX_CHANGE,
    steps: int = STEPS,
) -> Tensor:
    """Faces whose embeddings point elsewhere than before, and that look the same.

    Steps along the gradient lower the cosine between the embedding before and after. After each,
    the change is brought back into a ball: as far from the picture as the PSNR allows. The
    recogniser stays as it is. Another one may still know the face: this hides from one.

    Args:
        images: ``[B, 3, H, W]`` in [0, 1].
        recogniser: from such images to ``FaceEmbedding``.
        mask: where values may change, ``[H, W]`` or ``[B, 1, H, W]`` from 0, not at all, to 1, by
            ``max_change``; by default everywhere.
        min_psnr: of each picture, in decibels.
        max_change: of a value, above 0.
        steps: how many.

    Returns:
        Images of the same shape, in [0, 1].

    Raises:
        ValueError: an argument of another shape or out of its range.

    Source: Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks" (2018),
        section 2.1: projected gradient descent, here in the Euclidean norm.

    Example:
        >>> import torch
        >>> from fastcv.metrics import psnr
        >>> from fastcv.models.generative.hide_identity import hide_identity
        >>> from fastcv.nn.backbones.sphereface import SphereFace20a
        >>> recogniser = SphereFace20a(5, image_size=(32, 32), width=4, embedding_size=8)
        >>> faces = torch.rand(2, 3, 32, 32)
        >>> psnr(hide_identity(faces, recogniser), faces) >= 30
        tensor([True, True])
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"images must be [B, 3, H, W], got {list(images.shape)}")
    if not min_psnr > 0:
        raise ValueError(f"min_psnr must be above 0, got {min_psnr}")
    if not 0 < max_change <= 1:
        raise ValueError(f"max_change must be above 0, at most 1, got {max_change}")
    if steps < 1:
        raise ValueError(f"steps must be at least 1, got {steps}")
    bound = max_change * _fitting(mask, images)
    radius = math.sqrt(images[0].numel()) * 10 ** (-(min_psnr + ROUNDING) / 20)
    with evaluating(recogniser):
        with torch.no_grad():
            before = recogniser(images).embeddings
        # The cosine is at its highest where nothing has changed: the gradient there is zero.
        change = 0.1 * bound * _checkered(images)
        for _ in range(steps):
            slope = _slope(lambda x: _cosines(recogniser, x, before), images + change)
            slope = slope * (bound > 0)
            change = change - STEP * radius * slope / _lengths(slope)
            change = torch.minimum(torch.maximum(change, -bound), bound)
            change = change * (radius / _lengths(change)).clamp(max=1)
            change = (images + change).clamp(0, 1) - images  # which makes it no longer
    return (images + change).clamp(0, 1)


def _lengths(x: Tensor) -> Tensor:
    """Euclidean, of each picture ``[B, 1, 1, 1]``."""
    return x.flatten(1).norm(dim=1)[:, None, None, None].clamp(min=1e-12)


def _cosines(recogniser: SphereFace20a, images: Tensor, before: Tensor) -> Tensor:
    return F.cosine_similarity(recogniser(images).embeddings, before).sum()


def _slope(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    with torch.enable_grad():
        at = at.detach().requires_grad_()
        (slope,) = torch.autograd.grad(function(at), at)
    return slope


def _checkered(images: Tensor) -> Tensor:
    """-1 and 1 in turn: a first change, the same for each run."""
    rows, columns = (torch.arange(side, device=images.device) for side in images.shape[2:])
    return ((rows[:, None] + columns) % 2 * 2 - 1).to(images).expand_as(images)


def _fitting(mask: Tensor | None, images: Tensor) -> Tensor:
    if mask is None:
        return torch.ones_like(images[:, :1])
    fits = (list(images.shape[2:]), [len(images), 1, *images.shape[2:]])
    if list(mask.shape) not in fits or bool(((mask < 0) | (mask > 1)).any()):
        raise ValueError(
            f"mask must be {fits[0]} or {fits[1]} from 0 to 1, got {list(mask.shape)} from "
            f"{mask.min():g} to {mask.max():g}"
        )
    return mask.to(images).expand_as(images[:, :1])
