"""The hinge of ranking: what matches must score higher than what does not, by a margin."""

from __future__ import annotations

import torch
from torch import Tensor

from fastcv.nn.losses._tensors import check_tensor


def ranking_hinge(
    scores: Tensor,
    *,
    margin: float = 0.2,
    max_violation: bool = False,
    ignore: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """How much wrong pairs come too near to the right ones, in both directions.

    Args:
        scores: ``[B, B]``: of query i and candidate k. Those of the diagonal match.
        margin: by how much a right pair must score higher than a wrong one.
        max_violation: only the worst wrong candidate of each counts; otherwise the sum over all.
        ignore: ``[B, B]`` bool: pairs beside the diagonal that are not wrong.

    Returns:
        Two scalars, sums over the batch: of wrong candidates for each query (along rows), and of
        wrong queries for each candidate (along columns).

    Raises:
        TypeError: scores that are no tensor.
        ValueError: scores or ``ignore`` of another shape.

    Source: Faghri et al., "VSE++: Improving Visual-Semantic Embeddings with Hard Negatives" (2018),
        equations 5 and 6.

    Example:
        >>> import torch
        >>> from fastcv.nn.losses.ranking_hinge import ranking_hinge
        >>> scores = torch.tensor([[0.9, 0.8], [0.0, 0.5]])
        >>> [round(float(term), 2) for term in ranking_hinge(scores)]
        [0.1, 0.5]
    """
    check_tensor("scores", scores)
    if scores.ndim != 2 or scores.shape[0] != scores.shape[1]:
        raise ValueError(f"scores must be [B, B], got {list(scores.shape)}")
    skipped = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    if ignore is not None:
        if ignore.shape != scores.shape or ignore.dtype != torch.bool:
            raise ValueError(
                f"ignore must be {list(scores.shape)} bool, got {list(ignore.shape)} {ignore.dtype}"
            )
        skipped = skipped | ignore.to(scores.device)
    right = scores.diagonal()
    of_rows = (margin + scores - right[:, None]).clamp(min=0).masked_fill(skipped, 0)
    of_columns = (margin + scores - right).clamp(min=0).masked_fill(skipped, 0)
    if max_violation:
        return of_rows.amax(dim=1).sum(), of_columns.amax(dim=0).sum()
    return of_rows.sum(), of_columns.sum()
