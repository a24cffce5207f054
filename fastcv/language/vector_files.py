"""Word vectors in the files of other programs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch

from fastcv._files import replacing
from fastcv.language.word_vectors import WordVectors


def write_word2vec(path: str | os.PathLike[str], vectors: WordVectors) -> None:
    """Writes word2vec's text format: ``V D`` in the first line, then a word and its numbers a line.

    Raises:
        ValueError: a word has a space or a line break, which the format cannot hold.

    Example: see ``read_word2vec``.
    """
    for word in vectors.words:
        if len(word.split()) != 1 or word != word.strip():
            raise ValueError(f"words must have no spaces in word2vec's format, {word!r} has one")
    count, dim = vectors.vectors.shape
    with replacing(Path(path)) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(f"{count} {dim}\n")
        for word, row in zip(vectors.words, vectors.vectors.float().tolist(), strict=True):
            # Nine digits are all of a float32.
            file.write(f"{word} {' '.join(format(x, '.9g') for x in row)}\n")


def read_word2vec(path: str | os.PathLike[str]) -> WordVectors:
    """Reads word2vec's text format, and GloVe's, which is the same without the first line.

    Returns:
        The vectors as float32.

    Raises:
        ValueError: a line is no word with as many numbers as the others; it is told which.
        FileNotFoundError: there is no such file.

    Example:
        >>> import tempfile, torch
        >>> from pathlib import Path
        >>> from fastcv.language import WordVectors, read_word2vec, write_word2vec
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "vectors.txt")
        ...     write_word2vec(path, WordVectors(["a", "b"], torch.tensor([[0.5, 1], [2, -3]])))
        ...     print(path.read_text(), read_word2vec(path)["b"])
        2 2
        a 0.5 1
        b 2 -3
         tensor([ 2., -3.])
    """
    words: list[str] = []
    rows: list[np.ndarray] = []
    told: list[int] = []  # what the first line says: how many words and numbers
    with Path(path).open(encoding="utf-8") as file:
        try:
            for number, line in enumerate(file, 1):
                word, *numbers = line.rstrip().split(" ")
                if number == 1 and len(numbers) == 1 and (word + numbers[0]).isdigit():
                    told = [int(word), int(numbers[0])]
                    continue
                row = _numbers(numbers)
                dim = told[1] if told else len(rows[0]) if rows else len(numbers)
                if row is None or len(row) != dim or dim == 0:
                    raise ValueError(f"{path}:{number} must be a word and {dim} numbers")
                words.append(word)
                rows.append(row)
        except UnicodeDecodeError:
            raise ValueError(f"{path} must be a text file in UTF-8, and is not") from None
    if not rows:
        raise ValueError(f"{path} must have a word and its vector, and has none")
    if told and told[0] != len(words):
        raise ValueError(f"{path} must have {told[0]} words, as its first line says: {len(words)}")
    try:
        return WordVectors(words, torch.from_numpy(np.stack(rows)))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _numbers(parts: list[str]) -> np.ndarray | None:
    try:
        return np.array(parts, dtype=np.float32)
    except ValueError:
        return None
