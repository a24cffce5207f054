"""word2vec: vectors of words, learnt from the words around them."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm import tqdm

from fastcv._interrupt import NotedInterrupt
from fastcv.language.sampling import keep_probabilities, noise_table
from fastcv.language.tokenizer import tokenize
from fastcv.language.word_vectors import WordVectors
from fastcv.ops import sgns_step

PIECE = 10_000  # words that are trained on in one call
CPU_SHARDS, CUDA_SHARDS = 8, 128


def read_sentences(path: str | os.PathLike[str]) -> list[list[str]]:
    """A text file's lines as lists of words, as ``tokenize`` cuts them; lines without words are
    left out.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it has no word, or is not UTF-8.
    """
    try:
        text = Path(path).read_text("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"{path} must be a text file in UTF-8, and is not") from None
    sentences = [words for line in text.splitlines() if (words := tokenize(line))]
    if not sentences:
        raise ValueError(f"{path} must have a word, and has none")
    return sentences


@dataclass(frozen=True)
class Corpus:
    """A text as numbers.

    Args:
        words: by id, the most frequent first.
        counts: ``[V]`` int64, how often each is in the text.
        ids: ``[N]`` int64: the text; -1 ends a sentence. Words that are too rare are left out.
    """

    words: tuple[str, ...]
    counts: Tensor
    ids: Tensor

    @classmethod
    def of(cls, sentences: Iterable[Sequence[str]], min_count: int = 5) -> Corpus:
        """Counts the words of sentences.

        Raises:
            ValueError: no word is there ``min_count`` times, or a sentence is a string.

        Example:
            >>> from fastcv.language.negative_sampling import Corpus
            >>> corpus = Corpus.of([["a", "b", "a"], ["c", "a"]], min_count=1)
            >>> corpus.words, corpus.counts.tolist(), corpus.ids.tolist()
            (('a', 'b', 'c'), [3, 1, 1], [0, 1, 0, -1, 2, 0, -1])
        """
        sentences = list(sentences)
        if any(isinstance(sentence, str) for sentence in sentences):
            raise ValueError("sentences must be lists of words, one is a string: see tokenize")
        counts = Counter(word for sentence in sentences for word in sentence)
        words = [word for word in counts if counts[word] >= min_count]
        words.sort(key=lambda word: (-counts[word], word))
        if len(words) < 2:
            raise ValueError(
                f"sentences must have two words that are there {min_count} times or more, they "
                f"have {len(words)}: pass more text, or a smaller min_count"
            )
        ids = {word: i for i, word in enumerate(words)}
        text = [i for s in sentences for i in (*(ids[word] for word in s if word in ids), -1)]
        return cls(tuple(words), torch.tensor([counts[word] for word in words]), torch.tensor(text))

    def pieces(self, size: int = PIECE) -> list[tuple[int, int]]:
        """``(begin, end)`` of some ``size`` words each, cut where a sentence ends if one does."""
        ends = (self.ids == -1).nonzero().flatten() + 1
        pieces, begin = [], 0
        while begin < len(self.ids):
            end = min(begin + size, len(self.ids))
            inside = ends[(ends > begin) & (ends <= end)]
            end = int(inside[-1]) if len(inside) else end
            pieces.append((begin, end))
            begin = end
        return pieces


def word2vec(
    sentences: Iterable[Sequence[str]] | Corpus,
    *,
    dim: int = 100,
    window: int = 5,
    min_count: int = 5,
    negative: int = 5,
    ns_exponent: float = 0.75,
    sample: float = 1e-3,
    lr: float = 0.025,
    min_lr: float = 1e-4,
    epochs: int = 5,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: bool = True,
) -> WordVectors:
    """Vectors of words by skip-gram with negative sampling; the defaults are gensim's.

    There are two matrices: W, of words as centres, and W', of words that are around one. W begins
    evenly in ±0.5 / ``dim``, W' with zeros. W is what is returned.

    The result is the same to the last bit for a seed, however many threads there are; the GPU's
    differs from the CPU's.

    Args:
        sentences: lists of words, such as ``tokenize`` and ``read_sentences`` make them.
        dim: numbers in a vector.
        window: how many words on either side are around a word, at most: each time 1 to this.
        min_count: rarer words are left out.
        negative: drawn words for each pair of words.
        ns_exponent: they are drawn by their count to this power.
        sample: words with more than this share of the text are passed over now and then; 0: never.
        lr: the step at first. It falls evenly.
        min_lr: the step at the end.
        epochs: how often the text is gone through.
        seed: of all that is drawn.
        device: where it is trained.
        progress: show a bar, with the mean loss of a pair.

    Returns:
        The vectors of all words that are there ``min_count`` times, the most frequent first. After
        Ctrl-C: as they are then, with a warning.

    Raises:
        ValueError: there is no text to learn from, or a number is out of range.

    Source: Mikolov et al., "Distributed Representations of Words and Phrases and their
        Compositionality" (2013).

    Example:
        >>> from fastcv.language import word2vec
        >>> text = [["a", "cat", "sits"], ["a", "dog", "sits"], ["the", "sun", "shines"]] * 20
        >>> vectors = word2vec(text, dim=8, epochs=2, progress=False)
        >>> len(vectors), vectors["cat"].shape
        (7, torch.Size([8]))
    """
    _check(dim=dim, window=window, min_count=min_count, negative=negative, epochs=epochs)
    corpus = sentences if isinstance(sentences, Corpus) else Corpus.of(sentences, min_count)
    device = torch.device(device)
    g = torch.Generator().manual_seed(seed)
    # Whole vectors of the CPU, 8 numbers: zeros at the end get no gradient and stay zeros.
    padded = -(-dim // 8) * 8
    input = torch.zeros(len(corpus.words), padded)
    input[:, :dim] = (torch.rand(len(corpus.words), dim, generator=g) - 0.5) / dim
    input, output = input.to(device), torch.zeros(len(corpus.words), padded, device=device)
    ids = corpus.ids.to(device)
    keep = keep_probabilities(corpus.counts, sample).to(device)
    noise = noise_table(corpus.counts, ns_exponent).to(device)
    shards, piece = (CPU_SHARDS, PIECE) if device.type == "cpu" else (CUDA_SHARDS, 10 * PIECE)
    pieces, total = corpus.pieces(piece), epochs * len(ids)
    with (
        NotedInterrupt() as interrupt,
        tqdm(total=total, unit=" words", unit_scale=True, disable=not progress) as bar,
    ):
        for epoch in range(epochs):
            for begin, end in pieces:
                done = epoch * len(ids) + begin
                loss, pairs = sgns_step(
                    input,
                    output,
                    ids[begin:end],
                    keep,
                    noise,
                    window=window,
                    negative=negative,
                    lr=lr - (lr - min_lr) * done / total,
                    seed=seed,
                    position=done,
                    shards=shards,
                )
                if progress:
                    mean = float(loss) / max(int(pairs), 1)
                    bar.set_postfix(loss=f"{mean:.3f}", refresh=False)
                    bar.update(end - begin)
                if interrupt.noted:
                    warnings.warn(
                        f"stopped after {done + end - begin} of {total} words", stacklevel=2
                    )
                    return WordVectors(corpus.words, input[:, :dim].cpu())
    return WordVectors(corpus.words, input[:, :dim].cpu())


def _check(**numbers: int) -> None:
    for name, value in numbers.items():
        least = 0 if name == "negative" else 1
        if value < least:
            raise ValueError(f"{name} must be {least} or more, got {value}")
