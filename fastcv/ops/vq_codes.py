"""The nearest codes of a codebook, and what the codebook is updated from."""

from __future__ import annotations

import torch
from torch import Tensor


def vq_codes(vectors: Tensor, codebook: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The nearest code of each vector, and of each code how many vectors are its and their sum.

    That is all that vector quantisation needs of a batch: the codes are its output, and running
    means of counts and sums are the next codebook. The matrix of distances is never made.

    Args:
        vectors: ``[N, D]``, any floating dtype.
        codebook: ``[K, D]`` of the same dtype and device, with at least one row.

    Returns:
        ``(codes, counts, sums)``. ``codes`` ``[N]`` int64: the row of ``codebook`` at the least
        Euclidean distance; of equal distances the smaller. ``counts`` ``[K]`` int64: how many
        vectors each code is the nearest of. ``sums`` ``[K, D]`` float32, or float64 of float64:
        what they add up to, in their order. A vector with NaN or infinities has no nearest code:
        its code is -1, and it is in no count and no sum. A code with NaN or infinities is nobody's.

    Raises:
        RuntimeError: shapes, dtypes or devices do not fit, or the codebook is empty.

    Results are the same bits for any number of threads, and a vector's code is the same beside any
    others. No gradient comes from it.

    Source: van den Oord et al., "Neural Discrete Representation Learning" (2017), equation 1 and
    appendix A.1.

    Example:
        >>> import torch, fastcv
        >>> codebook = torch.tensor([[0.0, 0.0], [4.0, 0.0]])
        >>> vectors = torch.tensor([[1.0, 0.0], [3.0, 1.0], [5.0, 0.0]])
        >>> codes, counts, sums = fastcv.ops.vq_codes(vectors, codebook)
        >>> codes, counts
        (tensor([0, 1, 1]), tensor([1, 2]))
        >>> sums
        tensor([[1., 0.],
                [8., 1.]])
    """
    return torch.ops.fastcv.vq_codes(vectors.detach(), codebook.detach())


@torch.library.register_fake("fastcv::vq_codes")
def _(vectors: Tensor, codebook: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    dtype = torch.float64 if vectors.dtype == torch.float64 else torch.float32
    codes = vectors.new_empty(vectors.shape[:1], dtype=torch.int64)
    counts = codebook.new_empty(codebook.shape[:1], dtype=torch.int64)
    return codes, counts, codebook.new_empty(codebook.shape, dtype=dtype)
