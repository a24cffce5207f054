"""What data sets of files with questions about pictures share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor
from torch.utils.data import Dataset

from fastcv.data._image import read


class Asked(NamedTuple):
    """A question about a picture, and its answer, or those of several people."""

    path: Path
    question: str
    answer: str | tuple[str, ...]


class PictureQuestions(Dataset[tuple[Tensor, Any, Any]]):
    """Items ``(image, question, answer)``, or one for each picture with all that is asked of it.

    Args:
        asked: in order.
        by_picture: items are ``(image, questions, answers)``, two tuples.
    """

    def __init__(self, asked: list[Asked], by_picture: bool) -> None:
        self.asked = asked
        self._groups: list[list[Asked]] | None = None
        if by_picture:
            groups: dict[Path, list[Asked]] = {}
            for one in asked:
                groups.setdefault(one.path, []).append(one)
            self._groups = list(groups.values())

    @property
    def questions(self) -> list[str]:
        """All of them, such as for ``Vocabulary.from_texts``; no picture is read."""
        return [one.question for one in self.asked]

    def frequent_answers(self, count: int) -> tuple[str, ...]:
        """The answers that are right most often, such as for a model's ``classes``; the most
        frequent first, and of equal ones in alphabetical order.

        Args:
            count: how many, at most.
        """
        counts = Counter(most_frequent(one.answer) for one in self.asked)
        return tuple(sorted(counts, key=lambda text: (-counts[text], text))[:count])

    def __len__(self) -> int:
        return len(self.asked if self._groups is None else self._groups)

    def __getitem__(self, index: int) -> tuple[Tensor, Any, Any]:
        if self._groups is None:
            path, question, answer = self.asked[index]
            return read(path), question, answer
        group = self._groups[index]
        questions, answers = tuple(o.question for o in group), tuple(o.answer for o in group)
        return read(group[0].path), questions, answers


def questions_of(question: Any, answer: Any) -> Iterator[tuple[str, Any]]:
    """The pairs of question and answer of an item, which may have one or several."""
    if isinstance(question, str):
        yield question, answer
    else:
        yield from zip(question, answer, strict=True)


def most_frequent(answer: str | Sequence[str]) -> str:
    """Of several people's answers."""
    return answer if isinstance(answer, str) else Counter(answer).most_common(1)[0][0]
