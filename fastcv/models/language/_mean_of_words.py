"""A sentence as the mean of its words' vectors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from fastcv.language import Vocabulary, pad_texts
from fastcv.language.vocabulary import SPECIAL


class MeanOfWords(nn.Module):
    """From sentences to vectors: the mean of the vectors of their words that are known.

    The vectors are random numbers and do not learn. A linear layer behind them can make of them any
    table of learned vectors, as long as there are no more words than numbers in a vector. The order
    of the words is lost: "a cat on a mat" is "a mat on a cat".

    A word's vector depends on the word alone. The vectors are part of the state dict.

    Args:
        words: those of ``vocabulary``, without the four special ones.
        size: D, numbers of a vector.

    Example:
        >>> from fastcv.models.language._mean_of_words import MeanOfWords
        >>> encoder = MeanOfWords(["a", "red", "seven"], 16)
        >>> encoder(["A red seven", "seven seven"]).shape
        torch.Size([2, 16])
    """

    vectors: Tensor

    def __init__(self, words: Sequence[str], size: int) -> None:
        super().__init__()
        self.vocabulary = Vocabulary(words)
        self.register_buffer("vectors", _random_vectors(self.vocabulary, size))

    @property
    def is_empty(self) -> bool:
        """Whether there is no word."""
        return len(self.vocabulary) == len(SPECIAL)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """``[N, D]``.

        Raises:
            ValueError: there is no text, or one has no word, or none that is known.
        """
        ids, _ = pad_texts([self.vocabulary.encode(text) for text in texts])
        counts = torch.zeros(len(ids), len(self.vocabulary))
        counts.scatter_add_(1, ids, torch.ones(ids.shape))
        counts[:, : len(SPECIAL)] = 0
        means = counts / counts.sum(dim=1, keepdim=True)
        return means.to(self.vectors) @ self.vectors


def _random_vectors(vocabulary: Vocabulary, size: int) -> Tensor:
    """``[V, size]`` from a normal distribution; zeros for the special ones."""
    rows = np.zeros((len(vocabulary), size), np.float32)
    for i in range(len(SPECIAL), len(vocabulary)):
        rows[i] = np.random.default_rng([*vocabulary.words[i].encode()]).standard_normal(size)
    return torch.from_numpy(rows)
