"""The loss of pairs that match or do not, and of what kind each is."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.data.drawn_recipes import PairTargets
from fastcv.nn.losses._tensors import check_tensor


def cosine_term(a: Tensor, b: Tensor, match: Tensor, margin: float) -> Tensor:
    """The mean of 1 - cos of pairs that match and of max(0, cos - margin) of those that do not.

    Args:
        a, b: vectors ``[B, D]`` of length 1.
        match: ``[B]`` bool.
        margin: a cosine that is small enough.

    Example:
        >>> import torch
        >>> from fastcv.models.language._pair_loss import cosine_term
        >>> a = torch.eye(2)
        >>> cosine_term(a, a, torch.tensor([True, False]), margin=0.5)
        tensor(0.2500)
    """
    cosine = (a * b).sum(dim=1)
    return torch.where(match, 1 - cosine, (cosine - margin).clamp(min=0)).mean()


def kind_term(logits: Tensor, labels: Tensor) -> Tensor:
    """The mean cross-entropy of what has a kind, which is any label but 0; 0 where nothing has.

    Args:
        logits: ``[B, C]``.
        labels: ``[B]`` int64.

    Example:
        >>> import torch
        >>> from fastcv.models.language._pair_loss import kind_term
        >>> kind_term(torch.zeros(2, 3), torch.tensor([0, 0]))
        tensor(0.)
    """
    total = F.cross_entropy(logits, labels, ignore_index=0, reduction="sum")
    return total / (labels > 0).sum().clamp(min=1)  # torch's own mean of none is 0 / 0


def check_pairs(output: Any, targets: Any, classes: int) -> None:
    """Whether targets fit the vectors of pictures.

    Args:
        output: ``[B, D]``.
        targets: ``PairTargets``.
        classes: how many kinds there are, with none.

    Raises:
        TypeError: they are none, or have lists in place of tensors.
        ValueError: not one of each for each picture, or a label that no kind has.
    """
    check_tensor("output", output)
    if not isinstance(targets, PairTargets):
        raise TypeError(f"targets must be PairTargets, got {type(targets).__name__}")
    count = len(output)
    if not isinstance(targets.recipes, (list, tuple)) or len(targets.recipes) != count:
        raise ValueError(f"targets must have {count} recipes, one for each picture")
    check_tensor("match of targets", targets.match)
    if targets.match.shape != (count,) or targets.match.dtype != torch.bool:
        raise ValueError(
            f"match of targets must be bool [{count}], got {targets.match.dtype} "
            f"{list(targets.match.shape)}"
        )
    for labels in (targets.image_labels, targets.recipe_labels):
        check_tensor("labels of targets", labels)
        if labels.shape != (count,) or labels.dtype != torch.int64:
            raise ValueError(
                f"labels of targets must be int64 [{count}], got {labels.dtype} "
                f"{list(labels.shape)}"
            )
        if bool(((labels < 0) | (labels >= classes)).any()):
            raise ValueError(f"labels of targets must be 0 to {classes - 1}")
