"""Which word has which number."""

from __future__ import annotations

import json
import os
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from fastcv._files import replacing
from fastcv.language.tokenizer import tokenize

PAD, START, END, UNKNOWN = SPECIAL = ("<pad>", "<start>", "<end>", "<unk>")


class Vocabulary:
    """Words and their ids: texts to ids, and back.

    The first four ids are of ``<pad>``, 0, ``<start>``, ``<end>`` and ``<unk>``, which stands for
    any word that is not here.

    Args:
        words: without those four, each once; the first gets id 4. They are put into Unicode's
            normal form NFC.

    Raises:
        ValueError: a word is there twice, is empty, or is one of the four.

    Example:
        >>> from fastcv.language import Vocabulary
        >>> vocabulary = Vocabulary.from_texts(["A cat sits.", "A dog sits, a cat runs."], 2)
        >>> vocabulary.words
        ('<pad>', '<start>', '<end>', '<unk>', 'a', '.', 'cat', 'sits')
        >>> ids = vocabulary.encode("A dog sits.", ends=True)
        >>> ids.tolist()
        [1, 4, 3, 7, 5, 2]
        >>> vocabulary.decode(ids)
        'a <unk> sits .'
    """

    def __init__(self, words: Iterable[str]) -> None:
        self.words = (*SPECIAL, *(unicodedata.normalize("NFC", word) for word in words))
        self._ids = {word: i for i, word in enumerate(self.words)}
        if "" in self._ids:
            raise ValueError("words must not be empty, one is")
        if len(self._ids) < len(self.words):
            word, times = Counter(self.words).most_common(1)[0]
            raise ValueError(f"words must be there once each, {word!r} is there {times} times")

    @classmethod
    def from_texts(cls, texts: Iterable[str], min_frequency: int = 1) -> Vocabulary:
        """The words of texts, the most frequent first.

        Args:
            texts: each is cut into words by ``tokenize``.
            min_frequency: how often a word must be there, at least.

        Raises:
            ValueError: no word is there that often.
        """
        counts = Counter(word for text in texts for word in tokenize(text))
        words = [word for word in counts if counts[word] >= min_frequency]
        words.sort(key=lambda word: (-counts[word], word))
        if not words:
            raise ValueError(f"texts must have a word that is there {min_frequency} times or more")
        return cls(words)

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self.words == other.words

    def __hash__(self) -> int:
        return hash(self.words)

    def __repr__(self) -> str:
        return f"Vocabulary of {len(self)} words"

    def id_of(self, word: str) -> int:
        """A word's id, that of ``<unk>`` where it has none."""
        return self._ids.get(unicodedata.normalize("NFC", word), self._ids[UNKNOWN])

    def split(self, text: str) -> list[str]:
        """The words of a text: by ``tokenize``, where a subclass knows nothing better."""
        return tokenize(text)

    def encode(self, text: str, *, ends: bool = False, max_words: int = 1000) -> Tensor:
        """A text as ids.

        Args:
            text: cut into words by ``split``.
            ends: with ``<start>`` before it and ``<end>`` behind.
            max_words: a longer text is cut, with a warning.

        Returns:
            ``[T]`` int64.

        Raises:
            ValueError: the text has no word, or none that is known.
        """
        words = self.split(text)
        if not words:
            raise ValueError(f"text must have a word, got {text[:40]!r}")
        if len(words) > max_words:
            warnings.warn(
                f"a text of {len(words)} words was cut to its first {max_words}", stacklevel=2
            )
            words = words[:max_words]
        ids = [self.id_of(word) for word in words]
        if set(ids) == {self._ids[UNKNOWN]}:
            shown = " ".join(words)
            shown = shown if len(shown) <= 40 else shown[:39] + "…"
            raise ValueError(
                f"text must have a word that is known, and none of {shown!r} is among the "
                f"{len(self)} of the vocabulary"
            )
        return torch.tensor([self._ids[START], *ids, self._ids[END]] if ends else ids)

    def decode(self, ids: Tensor | Sequence[int]) -> str:
        """The words of ids with spaces between them, up to ``<end>``; no ``<pad>`` or ``<start>``.

        Raises:
            ValueError: an id is no word's.
        """
        words = []
        for i in ids.tolist() if isinstance(ids, Tensor) else ids:
            if not 0 <= i < len(self):
                raise ValueError(f"ids must be 0 to {len(self) - 1}, got {i}")
            if self.words[i] == END:
                break
            if self.words[i] not in (PAD, START):
                words.append(self.words[i])
        return " ".join(words)

    def to_json(self) -> str:
        """One line of JSON, such as for the metadata of a ``.safetensors``."""
        return json.dumps({"words": self.words[len(SPECIAL) :]}, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """What ``to_json`` wrote.

        Raises:
            ValueError: it is something else.
        """
        try:
            words = json.loads(text)["words"]
        except (ValueError, KeyError, TypeError):
            words = None
        if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
            raise ValueError('a vocabulary must be JSON as {"words": ["a", ...]}, this is not')
        return cls(words)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a JSON file, whole or not at all."""
        with replacing(Path(path)) as temporary:
            temporary.write_text(self.to_json() + "\n", "utf-8")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Vocabulary:
        """Reads what ``save`` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is something else.
        """
        try:
            return cls.from_json(Path(path).read_text("utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def pad_texts(texts: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Texts of different lengths as one batch.

    Args:
        texts: ids ``[T_i]`` each, as ``Vocabulary.encode`` returns them.

    Returns:
        ``(ids, lengths)``: ``[B, T]`` int64, 0 (``<pad>``) behind the end of each, where T is the
        longest; and ``[B]`` int64.

    Raises:
        ValueError: there is no text, or one has another shape.

    Example:
        >>> import torch
        >>> from fastcv.language import pad_texts
        >>> pad_texts([torch.tensor([5, 6, 7]), torch.tensor([8])])
        (tensor([[5, 6, 7],
                [8, 0, 0]]), tensor([3, 1]))
    """
    if not texts:
        raise ValueError("texts must be one or more, got none")
    for text in texts:
        if text.dim() != 1:
            raise ValueError(f"texts must have shape [T] each, one has {list(text.shape)}")
    ids = torch.nn.utils.rnn.pad_sequence([text.long() for text in texts], batch_first=True)
    return ids, torch.tensor([len(text) for text in texts])
