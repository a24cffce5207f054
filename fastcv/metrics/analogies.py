"""How many analogies word vectors answer."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from fastcv.language.word_vectors import WordVectors

BATCH = 256  # questions at a time: each has a score for every word

Question = tuple[str, str, str, str]


def evaluate_analogies(
    vectors: WordVectors, questions: Mapping[str, Sequence[Question]], method: str = "add"
) -> dict[str, float]:
    """The share of questions whose best answer is the right one.

    Args:
        vectors: the first three words of a question are no answers to it.
        questions: by section: a is to b as c is to d, and d is asked for.
        method: ``"add"`` or ``"mul"``, as of ``WordVectors.analogy``.

    Returns:
        The share of each section in which a question could be asked, ``"all"`` of all questions
        (NaN where there is none), and ``"asked"``, how many these are: all four words have a
        vector.

    Source: Mikolov et al., "Efficient Estimation of Word Representations in Vector Space" (2013).

    Example:
        >>> import torch
        >>> from fastcv.language import WordVectors
        >>> from fastcv.metrics import evaluate_analogies
        >>> rows = torch.tensor([[1, 0, 0], [1, 1, 0], [1, 0, 1], [1, 1, 1.0]])
        >>> vectors = WordVectors("abcd", rows)
        >>> evaluate_analogies(vectors, {"letters": [("a", "b", "c", "d"), ("a", "b", "c", "x")]})
        {'letters': 1.0, 'all': 1.0, 'asked': 1}
    """
    found: dict[str, float] = {}
    right = asked = 0
    for section, all_questions in questions.items():
        known = [q for q in all_questions if all(word in vectors for word in q)]
        if not known:
            continue
        hits = sum(
            _hits(vectors, known[i : i + BATCH], method) for i in range(0, len(known), BATCH)
        )
        found[section] = hits / len(known)
        right, asked = right + hits, asked + len(known)
    return {**found, "all": right / asked if asked else float("nan"), "asked": asked}


def _hits(vectors: WordVectors, questions: Sequence[Question], method: str) -> int:
    rows = torch.tensor([[vectors.id_of(word) for word in q] for q in questions])
    rows = rows.to(vectors.vectors.device)
    scores = vectors.analogy_scores(rows[:, :3], method)
    scores.scatter_(1, rows[:, :3], -torch.inf)
    return int((scores.argmax(1) == rows[:, 3]).sum())


def read_analogies(path: str | os.PathLike[str]) -> dict[str, list[Question]]:
    """A file as ``questions-words.txt`` of word2vec: ``: section``, then four words a line.

    Args:
        path: the words come in lower case.

    Returns:
        The questions by section.

    Raises:
        ValueError: a line is neither.
        FileNotFoundError: there is no such file.
    """
    found: dict[str, list[Question]] = {}
    section = ""
    for number, line in enumerate(Path(path).read_text("utf-8").splitlines(), 1):
        words = line.lower().split()
        if line.startswith(":"):
            section = line[1:].strip()
        elif len(words) == 4:
            found.setdefault(section, []).append((words[0], words[1], words[2], words[3]))
        elif words:
            raise ValueError(f"{path}:{number} must be ': section' or four words, got {line!r}")
    return found
