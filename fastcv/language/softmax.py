"""Skip-gram and CBOW with a full softmax, in plain PyTorch: what negative sampling is short for."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.language.negative_sampling import Corpus
from fastcv.language.word_vectors import WordVectors


class SkipGram(nn.Module):
    """A word predicts each word around it: one-hot, W, W', softmax over all words.

    A one-hot vector times W is a row of W. So W is kept as a table, and a word's row is looked up.

    Args:
        words: V, how many.
        dim: D, numbers in a vector.

    Source: Mikolov et al., "Efficient Estimation of Word Representations in Vector Space" (2013).

    Example:
        >>> import torch
        >>> from fastcv.language.softmax import SkipGram
        >>> model = SkipGram(words=5, dim=3)
        >>> model(torch.tensor([2, 4])).shape
        torch.Size([2, 5])
    """

    def __init__(self, words: int, dim: int) -> None:
        super().__init__()
        self.input = nn.Parameter((torch.rand(words, dim) - 0.5) / dim)  # W
        self.output = nn.Parameter(torch.zeros(words, dim))  # W'

    def forward(self, centres: Tensor) -> Tensor:
        """Scores ``[B, V]`` of all words as neighbours of ``centres`` ``[B]``, int64."""
        return self.input[centres] @ self.output.T

    def loss(self, centres: Tensor, around: Tensor) -> Tensor:
        """-log(probability), the mean over words around: ``around`` is ``[B, C]``; -1: no word."""
        return _mean_loss(self(centres)[:, None].expand(-1, around.shape[1], -1), around)


class CBOW(SkipGram):
    """The mean of the words around predicts the word between them; arguments as of ``SkipGram``.

    Example:
        >>> import torch
        >>> from fastcv.language.softmax import CBOW
        >>> model = CBOW(words=5, dim=3)
        >>> around = torch.tensor([[1, 3], [0, -1]])  # -1: no word
        >>> model(around).shape
        torch.Size([2, 5])
    """

    def forward(self, around: Tensor) -> Tensor:
        """Scores ``[B, V]`` of all words between those of ``around`` ``[B, C]``; -1: no word."""
        there = (around >= 0)[..., None]
        summed = (self.input[around.clamp(min=0)] * there).sum(1)
        return summed / there.sum(1).clamp(min=1) @ self.output.T

    def loss(self, centres: Tensor, around: Tensor) -> Tensor:
        """-log(probability) of the centres ``[B]``, the mean over those with a word around."""
        alone = (around < 0).all(1)
        return _mean_loss(self(around), centres.masked_fill(alone, -1))


def _mean_loss(scores: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(scores.flatten(0, -2), targets.flatten(), ignore_index=-1)


def words_around(ids: Tensor, window: int) -> tuple[Tensor, Tensor]:
    """Each word of a text with the words around it.

    Args:
        ids: ``[N]`` int64; -1 ends a sentence.
        window: how many words on either side.

    Returns:
        ``(centres, around)``: ``[M]`` and ``[M, 2 * window]`` int64, from left to right; -1 where a
        sentence has no word there.

    Example:
        >>> import torch
        >>> from fastcv.language.softmax import words_around
        >>> words_around(torch.tensor([7, 8, -1, 9]), window=1)
        (tensor([7, 8, 9]), tensor([[-1,  8],
                [ 7, -1],
                [-1, -1]]))
    """
    sentence = (ids == -1).cumsum(0)
    places = (ids >= 0).nonzero()  # [M, 1]
    offsets = torch.tensor([d for d in range(-window, window + 1) if d != 0], device=ids.device)
    near = places + offsets
    inside = near.clamp(0, max(len(ids) - 1, 0))
    same = (near == inside) & (sentence[inside] == sentence[places])
    return ids[places[:, 0]], ids[inside].masked_fill(~same, -1)


def train_softmax(
    model: SkipGram,
    corpus: Corpus,
    *,
    window: int = 5,
    epochs: int = 5,
    lr: float = 0.01,
    batch_size: int = 256,
    seed: int = 0,
) -> WordVectors:
    """Trains ``SkipGram`` or ``CBOW`` by Adam; each word of the text is a centre.

    A step costs as much as there are words in the vocabulary: this is for small ones.

    Args:
        model: trained in place.
        corpus: the text.
        window: words on either side, always as many.
        epochs: how often the text is gone through.
        lr: Adam's.
        batch_size: centres in a step.
        seed: of the order.

    Returns:
        The rows of W.

    Example:
        >>> from fastcv.language.softmax import CBOW, train_softmax
        >>> from fastcv.language.negative_sampling import Corpus
        >>> corpus = Corpus.of([["a", "cat", "sits"], ["a", "dog", "sits"]] * 5)
        >>> train_softmax(CBOW(words=len(corpus.words), dim=3), corpus, window=1)
        WordVectors of 4 words, 3 numbers each
    """
    centres, around = words_around(corpus.ids, window)
    g = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(model.parameters(), lr)
    for _ in range(epochs):
        for batch in torch.randperm(len(centres), generator=g).split(batch_size):  # type: ignore[no-untyped-call]  # torch's
            optimizer.zero_grad()
            loss = model.loss(centres[batch], around[batch])
            loss.backward()  # type: ignore[no-untyped-call]  # torch's
            optimizer.step()
    return WordVectors(corpus.words, model.input.detach().clone())
