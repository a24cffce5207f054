"""How often words of a text are trained on, and drawn as negatives."""

from __future__ import annotations

import torch
from torch import Tensor


def keep_probabilities(counts: Tensor, sample: float = 1e-3) -> Tensor:
    """With which probability sub-sampling keeps each word: rare ones always, frequent ones seldom.

    Args:
        counts: ``[V]``, how often each word is in the text.
        sample: the share t of the text from which on a word is frequent; 0 keeps all.

    Returns:
        ``[V]`` float32: ``sqrt(t / f) + t / f`` for a word with share f, at most 1.

    Raises:
        ValueError: ``sample`` is negative.

    Source: word2vec.c. The paper of 2013 has ``sqrt(t / f)`` alone.

    Example:
        >>> import torch
        >>> from fastcv.language import keep_probabilities
        >>> keep_probabilities(torch.tensor([9900, 90, 10]), sample=0.01)
        tensor([0.1106, 1.0000, 1.0000])
    """
    if not sample >= 0:
        raise ValueError(f"sample must be 0 or more, got {sample}")
    if sample == 0:
        return torch.ones(len(counts))
    share = counts.double() / counts.sum()
    ratio = sample / share
    return (ratio.sqrt() + ratio).clamp(max=1).float()


def noise_table(counts: Tensor, exponent: float = 0.75) -> Tensor:
    """What ``fastcv.ops.sgns_step`` draws negatives from: words by their count to a power.

    Args:
        counts: ``[V]``, how often each word is in the text; none is negative, one is positive.
        exponent: 1 draws words as often as they are in the text, 0 all alike.

    Returns:
        ``[V, 2]`` int32, an alias table: a row is drawn evenly; row i, (threshold, other), means i
        with probability threshold / 2^31 and ``other`` else.

    Raises:
        ValueError: ``counts`` are not as above.

    Source: Walker, "An Efficient Method for Generating Discrete Random Variables" (1977).

    Example:
        >>> import torch
        >>> from fastcv.language import noise_table
        >>> noise_table(torch.tensor([3, 1]), exponent=1)
        tensor([[2147483647,          0],
                [1073741824,          0]], dtype=torch.int32)
    """
    weights = counts.double()
    if weights.dim() != 1 or not (weights >= 0).all() or not weights.sum() > 0:
        raise ValueError("counts must be numbers of one dimension, none negative and one positive")
    weights = torch.where(weights > 0, weights**exponent, 0.0)
    # Rows that need more than their share take it from those that need less.
    need = (weights / weights.sum() * len(weights)).tolist()
    other = list(range(len(need)))
    share = [1.0] * len(need)
    small = [i for i, x in enumerate(need) if x < 1]
    large = [i for i, x in enumerate(need) if x >= 1]
    while small and large:
        i, j = small.pop(), large[-1]
        share[i], other[i] = need[i], j
        need[j] -= 1 - need[i]
        if need[j] < 1:
            small.append(large.pop())
    threshold = [min(round(x * 2**31), 2**31 - 1) for x in share]
    return torch.tensor([threshold, other], dtype=torch.int32).T.contiguous()
