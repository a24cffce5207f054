"""The most similar vectors of a gallery."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def cosine_topk(queries: Tensor, gallery: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k items of a gallery that are most similar to each query, by cosine.

    Args:
        queries: ``[Q, D]`` floating.
        gallery: ``[N, D]`` of the same dtype and device.
        k: 1 to N.

    Returns:
        ``(scores, indices)``, ``[Q, k]`` each, by falling score; of equal scores the lower index
        comes first. Indices are int64.

    Raises:
        RuntimeError: shapes, dtypes, devices or k do not fit.

    Example:
        >>> import torch, fastcv
        >>> gallery = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
        >>> scores, indices = fastcv.ops.cosine_topk(torch.tensor([[5.0, 0.0]]), gallery, k=2)
        >>> scores, indices
        (tensor([[1., 1.]]), tensor([[0, 2]]))
    """
    torch._check(0 < k <= len(gallery), lambda: f"k must be 1 to {len(gallery)}, got {k}")
    scores = F.normalize(queries, dim=1) @ F.normalize(gallery, dim=1).T
    order = scores.sort(dim=1, descending=True, stable=True)
    return order.values[:, :k], order.indices[:, :k]
