"""Words as vectors: what is near a word, and what is to one as another is to a third."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from fastcv._files import replacing

SEARCHED = 50_000  # the most frequent words, among which a spelling is looked for


class WordVectors:
    """A vector for each word.

    Args:
        words: each once; the most frequent first, where that is known.
        vectors: ``[V, D]``, floating point.

    Raises:
        ValueError: there are not as many words as vectors, or a word is there twice.

    Example:
        >>> import torch
        >>> from fastcv.language import WordVectors
        >>> words = ["man", "woman", "king", "queen", "cat"]
        >>> vectors = WordVectors(words, torch.tensor([[1, 0, 0], [1, 1, 0], [2, 0, 1], [2, 1, 1],
        ...                                            [0, 0, 1.0]]))
        >>> vectors["woman"]
        tensor([1., 1., 0.])
        >>> [word for word, _ in vectors.nearest("king", k=2)]
        ['queen', 'man']
        >>> vectors.analogy("man", "king", "woman", k=1)[0][0]
        'queen'
    """

    def __init__(self, words: Iterable[str], vectors: Tensor) -> None:
        self.words = tuple(words)
        self.vectors = vectors
        self._ids = {word: i for i, word in enumerate(self.words)}
        if vectors.dim() != 2 or not vectors.is_floating_point():
            raise ValueError(
                "vectors must be floating point of shape [V, D], got "
                f"{vectors.dtype} {list(vectors.shape)}"
            )
        if len(self.words) != len(vectors):
            raise ValueError(
                f"vectors must be one for each word: {len(self.words)} words, and "
                f"{len(vectors)} vectors"
            )
        if len(self._ids) < len(self.words):
            twice = next(word for i, word in enumerate(self.words) if self._ids[word] != i)
            raise ValueError(f"words must be there once each, {twice!r} is there again")
        self._units: Tensor | None = None

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: object) -> bool:
        return word in self._ids

    def __repr__(self) -> str:
        return f"WordVectors of {len(self)} words, {self.vectors.shape[1]} numbers each"

    def __getitem__(self, word: str) -> Tensor:
        """A word's vector ``[D]``; a ValueError tells similar spellings where there is none."""
        return self.vectors[self.id_of(word)]

    def id_of(self, word: str) -> int:
        """A word's row.

        Raises:
            ValueError: it has none; the sentence has words with a similar spelling.
        """
        if word not in self._ids:
            near = difflib.get_close_matches(word, self.words[:SEARCHED], n=3)
            hint = f": did you mean {', '.join(map(repr, near))}?" if near else ""
            raise ValueError(f"there is no vector of the word {word!r}{hint}")
        return self._ids[word]

    @property
    def units(self) -> Tensor:
        """``[V, D]``: the vectors with length 1; one that is 0 stays 0."""
        if self._units is None:
            self._units = torch.nn.functional.normalize(self.vectors, dim=1)
        return self._units

    def nearest(
        self, word: str | Tensor, k: int = 10, exclude: Sequence[str] = ()
    ) -> list[tuple[str, float]]:
        """The words whose vectors have the largest cosines with one.

        Args:
            word: a word, which is not among the answers, or a vector ``[D]``.
            k: how many.
            exclude: words that are no answers either.

        Returns:
            ``(word, cosine)``, the nearest first.

        Raises:
            ValueError: a word has no vector.
        """
        if isinstance(word, str):
            exclude = [word, *exclude]
            word = self[word]
        unit = torch.nn.functional.normalize(word.to(self.vectors), dim=0)
        return self._best(self.units @ unit, k, [self.id_of(other) for other in exclude])

    def analogy(
        self, a: str, b: str, c: str, k: int = 10, method: str = "add"
    ) -> list[tuple[str, float]]:
        """What is to ``c`` as ``b`` is to ``a``: with man, king, woman it should be queen.

        Args:
            a, b, c: words; none of them is an answer.
            k: how many answers.
            method: ``"add"``: by the cosine with ``b - a + c`` of unit vectors, 3CosAdd; ``"mul"``:
                by the product of the cosines with ``b`` and ``c``, divided by that with ``a``, each
                moved from -1 .. 1 to 0 .. 1, 3CosMul.

        Returns:
            ``(word, score)``, the best first.

        Raises:
            ValueError: a word has no vector, or there is no such method.

        Source: Levy and Goldberg, "Linguistic Regularities in Sparse and Explicit Word
            Representations" (2014).
        """
        rows = [self.id_of(word) for word in (a, b, c)]
        return self._best(self.analogy_scores(torch.tensor([rows]), method)[0], k, rows)

    def analogy_scores(self, rows: Tensor, method: str = "add") -> Tensor:
        """The scores of all words as answers to questions.

        Args:
            rows: ``[Q, 3]`` int64, ids of a, b and c.
            method: as of ``analogy``.

        Returns:
            ``[Q, V]``.
        """
        a, b, c = (self.units[row] for row in rows.to(self.vectors.device).T)
        if method == "add":
            return torch.nn.functional.normalize(b - a + c, dim=1) @ self.units.T
        if method == "mul":
            of_a, of_b, of_c = ((1 + x @ self.units.T) / 2 for x in (a, b, c))
            return of_b * of_c / (of_a + 1e-6)
        raise ValueError(f"method must be 'add' or 'mul', got {method!r}")

    def _best(self, scores: Tensor, k: int, excluded: Sequence[int]) -> list[tuple[str, float]]:
        scores = scores.clone()
        scores[list(excluded)] = -torch.inf
        values, ids = scores.topk(min(k, len(self) - len(set(excluded))))
        return [(self.words[i], v) for i, v in zip(ids.tolist(), values.tolist(), strict=True)]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes a ``.safetensors`` with the words in its metadata.

        Raises:
            ValueError: the path has another suffix.
        """
        path = Path(path)
        if path.suffix != ".safetensors":
            raise ValueError(f"path must end in .safetensors, got {path.name!r}")
        words = json.dumps(self.words, ensure_ascii=False)
        tensors = {"vectors": self.vectors.cpu().contiguous()}
        with replacing(path) as temporary:
            temporary.write_bytes(save(tensors, {"words": words}))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> WordVectors:
        """Reads what ``save`` wrote.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: it is something else, or has another number of words than of vectors.
        """
        path = Path(path)
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        try:
            with safe_open(path, "pt") as file:
                words = json.loads((file.metadata() or {}).get("words", "null"))
                vectors = file.get_tensor("vectors") if "vectors" in file.keys() else None  # noqa: SIM118
        except (SafetensorError, ValueError) as error:
            raise ValueError(f"{path} is no .safetensors that can be read") from error
        if words is None or vectors is None:
            raise ValueError(f"{path} has no word vectors: 'vectors', and 'words' in its metadata")
        try:
            return cls(words, vectors)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
