"""A step of word2vec: skip-gram with negative sampling, on a piece of text."""

from __future__ import annotations

import torch
from torch import Tensor


def sgns_step(
    input: Tensor,
    output: Tensor,
    words: Tensor,
    keep: Tensor,
    noise: Tensor,
    window: int = 5,
    negative: int = 5,
    lr: float = 0.025,
    seed: int = 0,
    position: int = 0,
    shards: int = 8,
) -> tuple[Tensor, Tensor]:
    """Trains word vectors on a piece of text, in place.

    Each word that sub-sampling keeps is a centre. It has pairs with the words around it, label 1,
    and with ``negative`` drawn words for each of those, label 0. The model of a label's probability
    is ``sigmoid(input[centre] @ output[word])``; both rows go a step along the gradient of its
    logarithm.

    The result is the same to the last bit for any number of threads, because the order is fixed:
    words are in shards by ``id % shards``, and pairs of different shards are trained at a time.
    Within two shards pairs are trained in the order of the text. What is drawn depends on ``seed``
    and on a word's place in the text alone.

    Args:
        input: ``[V, D]``, float32 or float64, with dense rows: the vectors of centres. Changed.
        output: likewise, the vectors of the words that are predicted. Changed.
        words: ``[N]`` int64: the text as ids, 0 to V - 1; -1 ends a sentence, over which no window
            reaches. Some thousand words are a good piece.
        keep: ``[V]`` float32: with which probability a word is kept; see
            ``fastcv.language.keep_probabilities``.
        noise: ``[V, 2]`` int32: what negatives are drawn from; see ``fastcv.language.noise_table``.
        window: how many words on either side are around a centre at most. Each centre draws its own
            window from 1 to this. Words that are not kept do not count.
        negative: how many words are drawn for each pair; one that is the pair's own is left out.
        lr: the step.
        seed: of what is drawn.
        position: of the first word in the whole text. A text in pieces draws what the whole draws.
        shards: how many threads can help. The result depends on it. 8 is right for the CPU; a GPU
            wants 100 and more, and longer pieces.

    Returns:
        ``(loss, pairs)`` without dimensions: the sum of -log(probability of the label), float64,
        and how many pairs it is of, int64.

    Raises:
        RuntimeError: shapes, dtypes, devices or ranges do not fit. On CUDA ids out of range are no
            error: they end a sentence.

    No gradient comes from it.

    Source: Mikolov et al., "Distributed Representations of Words and Phrases and their
        Compositionality" (2013), sections 2.2 and 2.3.

    Example:
        >>> import torch, fastcv
        >>> from fastcv.language import keep_probabilities, noise_table
        >>> words = torch.tensor([0, 1, 2, 1, -1, 0, 2])
        >>> counts = torch.tensor([2, 2, 2])
        >>> input, output = torch.rand(3, 4) - 0.5, torch.zeros(3, 4)
        >>> keep, noise = keep_probabilities(counts, sample=0), noise_table(counts)
        >>> for step in range(20):
        ...     loss, pairs = fastcv.ops.sgns_step(
        ...         input, output, words, keep, noise, window=1, negative=2, lr=0.5, seed=step
        ...     )
        >>> bool(loss / pairs < 0.69)  # at first it is log 2
        True
    """
    return torch.ops.fastcv.sgns_step(
        input.detach(),
        output.detach(),
        words,
        keep,
        noise,
        window,
        negative,
        lr,
        seed,
        position,
        shards,
    )


@torch.library.register_fake("fastcv::sgns_step")
def _(
    input: Tensor,
    output: Tensor,
    words: Tensor,
    keep: Tensor,
    noise: Tensor,
    window: int,
    negative: int,
    lr: float,
    seed: int,
    position: int,
    shards: int,
) -> tuple[Tensor, Tensor]:
    return input.new_empty((), dtype=torch.float64), words.new_empty(())
