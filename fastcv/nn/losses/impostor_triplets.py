"""Triplets of similarities: what belongs together must be more alike than an impostor."""

from __future__ import annotations

import torch
from torch import Tensor

from fastcv.nn.losses._tensors import check_tensor


def sampled_triplets(scores: Tensor, *, margin: float = 1.0) -> Tensor:
    """The hinge against one impostor for each row, drawn from the other columns.

    Args:
        scores: ``[B, B]``, B at least 2; those of the diagonal belong together.
        margin: by how much they must be higher.

    Returns:
        A scalar, the mean over rows. For the other direction pass ``scores.T``.

    Raises:
        TypeError, ValueError: scores of another kind or shape.

    Source: Harwath, Torralba and Glass, "Unsupervised Learning of Spoken Language with Visual
        Context" (2016), equation 1.

    Example:
        >>> import torch
        >>> from fastcv.nn.losses.impostor_triplets import sampled_triplets
        >>> sampled_triplets(torch.tensor([[3.0, 2.5], [0.0, 3.0]]))
        tensor(0.2500)
    """
    right = _right(scores)
    drawn = torch.randint(len(scores) - 1, (len(scores), 1), device=scores.device)
    # None is a row's own: those from there on are one further.
    drawn += drawn >= torch.arange(len(scores), device=scores.device)[:, None]
    return (scores.gather(1, drawn)[:, 0] - right + margin).clamp(min=0).mean()


def semi_hard_triplets(scores: Tensor, *, margin: float = 1.0) -> Tensor:
    """The hinge against the highest impostor of each row that is still below the right one, or
    against 0 where that is higher or there is none.

    Args:
        scores, margin: as of ``sampled_triplets``.

    Returns:
        A scalar, the mean over rows. For the other direction pass ``scores.T``.

    Raises:
        TypeError, ValueError: scores of another kind or shape.

    Source: Jansen et al., "Coincidence, Categorization, and Consolidation" (2020), for the idea; as
        in ResDAVEnet-VQ's code, which puts 0 in place of what is left out.

    Example:
        >>> import torch
        >>> from fastcv.nn.losses.impostor_triplets import semi_hard_triplets
        >>> semi_hard_triplets(torch.tensor([[3.0, 2.5], [4.0, 0.5]]))
        tensor(0.5000)
    """
    right = _right(scores)
    below = (scores < right[:, None]).to(scores)
    return ((scores * below).amax(dim=1) - right + margin).clamp(min=0).mean()


def _right(scores: Tensor) -> Tensor:
    check_tensor("scores", scores)
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1] or len(scores) < 2:
        raise ValueError(f"scores must be [B, B] with B at least 2, got {list(scores.shape)}")
    return scores.diagonal()
