"""How good answers to questions about pictures are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor
from tqdm import tqdm

from fastcv.data._picture_questions import most_frequent, questions_of
from fastcv.metrics.vqa import NUMBERS, normalise_answer, vqa_accuracy

if TYPE_CHECKING:
    from fastcv.data.protocols import SizedDataset
    from fastcv.models.language._question_answerer import QuestionAnswerer
    from fastcv.models.language._question_batch import Modality

Answers = str | Sequence[str]
"""The right answer, or those of several people."""


def evaluate_answers(
    model: QuestionAnswerer,
    dataset: SizedDataset,
    *,
    batch_size: int = 64,
    without: Modality | None = None,
    progress: bool = False,
) -> dict[str, float]:
    """Accuracy of a question answerer on a dataset; for ``fit``'s ``evaluate``.

    Args:
        model: has ``predict`` and ``classes``.
        dataset: items ``(image, question, answer)``, or ``(image, questions, answers)``. An answer
            is one text, which must be met exactly, or those of several people: see
            ``vqa_accuracy``.
        batch_size: items at a time, and in memory.
        without: ``"image"`` or ``"question"``: answer without it.
        progress: show a bar.

    Returns:
        ``accuracy``; of questions by their answer ``yes/no``, ``number`` and ``other``, as far as
        there are any; and ``answerable``: the accuracy of the best answers that the model has.

    Raises:
        ValueError: no questions, or one that the model cannot read.

    Example:
        >>> import fastcv, torch
        >>> from fastcv.metrics import evaluate_answers
        >>> model = fastcv.create_model(
        ...     "vqa_lstm_cnn", words=("is", "it", "red"), classes=("no",), width=4,
        ...     image_size=32, features=8, hidden_size=8, common_size=8,
        ... )
        >>> data = [(torch.rand(3, 32, 32), "is it red", answer) for answer in ("yes", "no")]
        >>> evaluate_answers(model, data)
        {'accuracy': 0.5, 'yes/no': 0.5, 'answerable': 0.5}
    """
    sums: dict[str, list[float]] = {}
    for part in tqdm(list(parts(dataset, batch_size)), unit=" batches", disable=not progress):
        asked = flat([dataset[index] for index in part])
        found = model.predict(
            [(image, question) for image, question, _ in asked], batch_size=64, without=without
        )
        for (_, _, answer), result in zip(asked, found, strict=True):
            right = answer_accuracy(result.text, answer)
            sums.setdefault("accuracy", []).append(right)
            sums.setdefault(kind_of(answer), []).append(right)
            sums.setdefault("answerable", []).append(_best(model.classes, answer))
    if not sums:
        raise ValueError("there are no questions to measure on")
    keys = [key for key in ("accuracy", *KINDS, "answerable") if key in sums]
    return {key: sum(sums[key]) / len(sums[key]) for key in keys}


KINDS = ("yes/no", "number", "other")


def answer_accuracy(prediction: str, answer: Answers) -> float:
    """Of one answer: 1 where it is the right one, else 0; or by those of people, 0 to 1."""
    if isinstance(answer, str) or len(answer) == 1:
        return float(prediction == (answer if isinstance(answer, str) else answer[0]))
    return vqa_accuracy([prediction], [answer])


def kind_of(answer: Answers) -> str:
    """``"yes/no"``, ``"number"`` or ``"other"``, by the answer, that of most people."""
    text = normalise_answer(most_frequent(answer))
    if text in ("yes", "no"):
        return "yes/no"
    return "number" if text in NUMBERS.values() or text.isdecimal() else "other"


def parts(dataset: SizedDataset, batch_size: int) -> Iterator[range]:
    """The indices of a dataset, so many at a time."""
    for start in range(0, len(dataset), batch_size):
        yield range(start, min(start + batch_size, len(dataset)))


def flat(items: Sequence[Any]) -> list[tuple[Tensor, str, Answers]]:
    """``(image, question, answer)`` of items that may have several of one picture."""
    return [(image, q, a) for image, *asked in items for q, a in questions_of(*asked)]


def _best(classes: Sequence[str], answer: Answers) -> float:
    own = {answer} if isinstance(answer, str) else set(answer)
    there = own & set(classes)
    if len(own) > 1:  # another way to write it may be among them
        forms = {normalise_answer(text) for text in own}
        there |= {name for name in classes if normalise_answer(name) in forms}
    return max((answer_accuracy(text, answer) for text in there), default=0.0)
