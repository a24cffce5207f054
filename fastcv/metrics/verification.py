"""Face verification: of two pictures, whether they are of the same person."""

from __future__ import annotations

import torch
from torch import Tensor


def best_threshold(similarities: Tensor, same: Tensor) -> float:
    """The similarity from which pairs are best called the same.

    Args:
        similarities: ``[N]``, higher for those that look alike.
        same: ``[N]`` bool, whether they are.

    Returns:
        Of several that are equally good, one in the middle between two pairs.

    Raises:
        ValueError: shapes that differ, or no pairs.

    Example:
        >>> import torch
        >>> from fastcv.metrics import best_threshold, verification_accuracy
        >>> similarities = torch.tensor([0.9, 0.8, 0.3, 0.1])
        >>> same = torch.tensor([True, True, False, False])
        >>> round(best_threshold(similarities, same), 2)
        0.55
        >>> verification_accuracy(similarities, same, 0.85)
        0.75
    """
    _check(similarities, same)
    values = similarities.double().sort().values
    ends = torch.stack([values[0] - 1, values[-1] + 1])
    candidates = torch.cat([ends[:1], (values[1:] + values[:-1]) / 2, ends[1:]])
    right = ((similarities[None] >= candidates[:, None]) == same[None]).sum(dim=1)
    return float(candidates[right.argmax()])


def verification_accuracy(similarities: Tensor, same: Tensor, threshold: float) -> float:
    """The share of pairs that are told rightly; where half are the same, chance is 0.5.

    Args:
        similarities: ``[N]``.
        same: ``[N]`` bool.
        threshold: from there on a pair is called the same.

    Raises:
        ValueError: shapes that differ, or no pairs.
    """
    _check(similarities, same)
    return float(((similarities >= threshold) == same).float().mean())


def _check(similarities: Tensor, same: Tensor) -> None:
    if similarities.ndim != 1 or same.shape != similarities.shape or same.dtype != torch.bool:
        raise ValueError(
            "similarities must be [N] and same [N] bool, got "
            f"{list(similarities.shape)} and {list(same.shape)} {same.dtype}"
        )
    if not len(same):
        raise ValueError("there must be at least one pair, got none")
