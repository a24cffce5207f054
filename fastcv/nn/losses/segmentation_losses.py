"""Losses of a class for each pixel: how logits ``[B, C, H, W]`` fit labels ``[B, H, W]``."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.classes import IGNORE
from fastcv.nn.losses._tensors import check_tensor
from fastcv.ops import softmax_focal_loss


def pixel_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean cross-entropy of the pixels that count.

    Args:
        logits: ``[B, C, H, W]``.
        targets: ``[B, H, W]`` int64; pixels of 255 do not count.

    Returns:
        A scalar; 0 where no pixel counts.

    Raises:
        ValueError: targets of another shape or dtype, or a label that no class has.

    Example:
        >>> import torch
        >>> from fastcv.nn.losses.segmentation_losses import pixel_cross_entropy
        >>> pixel_cross_entropy(torch.zeros(1, 2, 1, 3), torch.tensor([[[0, 1, 255]]]))
        tensor(0.6931)
    """
    check_targets(logits, targets)
    total = F.cross_entropy(logits, targets, ignore_index=IGNORE, reduction="sum")
    return total / _count(targets)


def pixel_focal_loss(logits: Tensor, targets: Tensor, gamma: float = 2) -> Tensor:
    """The mean focal loss of the pixels that count: cross-entropy in which easy ones weigh little.

    Args:
        logits: ``[B, C, H, W]``.
        targets: ``[B, H, W]`` int64; pixels of 255 do not count.
        gamma: how much easy pixels are discounted, 0 or more; 0 is cross-entropy.

    Returns:
        A scalar; 0 where no pixel counts.

    Raises:
        ValueError: targets of another shape or dtype, or a label that no class has.

    Source: Lin et al., "Focal Loss for Dense Object Detection" (2017), section 3, over classes.

    Example:
        >>> import torch
        >>> from fastcv.nn.losses.segmentation_losses import pixel_focal_loss
        >>> pixel_focal_loss(torch.zeros(1, 2, 1, 3), torch.tensor([[[0, 1, 255]]]))
        tensor(0.1733)
    """
    check_targets(logits, targets)
    return softmax_focal_loss(
        logits.movedim(1, -1).flatten(0, -2),
        targets.flatten(),
        gamma=gamma,
        reduction="sum",
        ignore_index=IGNORE,
        normalizer=_count(targets),
    )


def dice_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """One less the Dice coefficient, the mean over classes: small regions weigh as large ones.

    With p the probabilities of a class and g its pixels, over the whole batch, its coefficient is
    ``2 sum(p g) / (sum(p^2) + sum(g^2))``.

    Args:
        logits: ``[B, C, H, W]``.
        targets: ``[B, H, W]`` int64; pixels of 255 do not count.

    Returns:
        A scalar in [0, 1]: the mean over the classes that ``targets`` have, for the coefficient
        of a class without pixels is 0 whatever is predicted; 0 where no pixel counts.

    Raises:
        ValueError: targets of another shape or dtype, or a label that no class has.

    Source: Milletari et al., "V-Net" (2016), section 3, for each class by itself.

    Example:
        >>> import torch
        >>> from fastcv.nn.losses.segmentation_losses import dice_loss
        >>> logits = torch.tensor([[[[9.0, 0.0, 9.0]], [[-9.0, 0.0, -9.0]]]])
        >>> dice_loss(logits, torch.tensor([[[0, 1, 255]]]))  # 1 - 2 / 2.25, 1 - 1 / 1.25
        tensor(0.1556)
    """
    check_targets(logits, targets)
    classes = logits.shape[1]
    counts = targets.ne(IGNORE).unsqueeze(1)
    truth = F.one_hot(targets.where(counts[:, 0], 0), classes).movedim(-1, 1) * counts
    p, g = (x.transpose(0, 1).flatten(1) for x in (logits.softmax(dim=1) * counts, truth))
    pixels = g.sum(dim=1)
    dice = 2 * (p * g).sum(dim=1) / (p.square().sum(dim=1) + pixels).clamp(min=1)
    occurs = pixels > 0
    return (occurs * (1 - dice)).sum() / occurs.sum().clamp(min=1)


def check_targets(logits: Tensor, targets: Tensor) -> None:
    """Refuses targets that do not fit the logits.

    Raises:
        TypeError: they are no tensors.
        ValueError: another shape or dtype than int64 ``[B, H, W]``, or a label that no class has.
    """
    check_tensor("output", logits)
    check_tensor("targets", targets)
    shape = [len(logits), *logits.shape[2:]]
    if list(targets.shape) != shape or targets.dtype != torch.int64:
        raise ValueError(
            f"targets must be int64 {shape}, got {targets.dtype} {list(targets.shape)}"
        )
    classes = logits.shape[1]
    wrong = targets[((targets < 0) | (targets >= classes)) & (targets != IGNORE)]
    if len(wrong):
        raise ValueError(
            f"targets must be labels 0 to {classes - 1}, or {IGNORE} where a pixel does not "
            f"count, got {int(wrong[0])}"
        )


def _count(targets: Tensor) -> Tensor:
    """The pixels that count, at least one: a mean of none would be 0 / 0."""
    return targets.ne(IGNORE).sum().clamp(min=1)
