"""The most similar vectors of a gallery."""

from __future__ import annotations

import torch
from torch import Tensor


def cosine_topk(queries: Tensor, gallery: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k items of a gallery that are most similar to each query, by the cosine of the angle.

    The matrix of all similarities is never made: memory does not grow with Q times N. Vectors need
    not be of length 1.

    Args:
        queries: ``[Q, D]``, any floating dtype.
        gallery: ``[N, D]`` of the same dtype and device.
        k: how many of each query's best, 1 to N.

    Returns:
        ``(scores, indices)``, ``[Q, k]`` each, by falling score. ``scores`` are float32, or float64
        of float64: -1 to 1 but for rounding, and 0 where either vector is all zeros. ``indices``
        are int64, rows of ``gallery``; of equal scores the lower index comes first. NaN comes last.

    Raises:
        RuntimeError: shapes, dtypes or devices do not fit, or k is out of range.

    On the CPU a score depends on its two vectors alone: it is the same bits for any number of
    threads and beside any others, and equal vectors tie exactly. No gradient comes from it.

    Example:
        >>> import torch, fastcv
        >>> gallery = torch.tensor([[1.0, 0.0], [0.0, 2.0], [3.0, 0.0]])
        >>> fastcv.ops.cosine_topk(torch.tensor([[5.0, 0.0]]), gallery, k=2)
        (tensor([[1., 1.]]), tensor([[0, 2]]))
    """
    return torch.ops.fastcv.cosine_topk(queries.detach(), gallery.detach(), k)


@torch.library.register_fake("fastcv::cosine_topk")
def _(queries: Tensor, gallery: Tensor, k: int) -> tuple[Tensor, Tensor]:
    dtype = torch.float64 if queries.dtype == torch.float64 else torch.float32
    shape = (queries.shape[0], k)
    return queries.new_empty(shape, dtype=dtype), queries.new_empty(shape, dtype=torch.int64)
