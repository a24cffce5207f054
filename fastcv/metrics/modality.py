"""What a model of several modalities looks at, and what can be told without one of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import torch

from fastcv.data._picture_questions import most_frequent
from fastcv.metrics.answers import Answers, answer_accuracy, flat, parts

if TYPE_CHECKING:
    from fastcv.data.protocols import SizedDataset
    from fastcv.models.language._question_answerer import QuestionAnswerer


def modality_share(
    model: QuestionAnswerer,
    dataset: SizedDataset,
    *,
    batch_size: int = 256,
    seed: int = 0,
) -> dict[str, Any]:
    """How much of a model's accuracy comes from each modality.

    Within each batch the pictures are permuted, so that each question gets the picture of another;
    then the questions are. A model that never looks at the pictures is as accurate as before.

    Args:
        model: a question answerer.
        dataset: as for ``evaluate_answers``.
        batch_size: items that are permuted together.
        seed: of the permutations.

    Returns:
        ``accuracy``; ``permuted``: by ``"image"`` and ``"question"`` the accuracy with that one
        permuted; ``share``: ``(accuracy - permuted) / accuracy`` of each, 0 where the model makes
        nothing of it or answers nothing right, and below 0 by chance.

    Raises:
        ValueError: there are less than two questions in a batch.

    Source: Gat, Schwartz, Schwing, "Perceptual Score: What Data Modalities Does Your Model
        Perceive?" (2021).

    Example:
        >>> from fastcv.metrics import modality_share
        >>> class SaysWhatIsAsked:  # and never looks
        ...     def predict(self, pairs, **options):
        ...         return [type("Answer", (), {"text": question}) for _, question in pairs]
        >>> data = [(None, text, text) for text in ("red", "green", "blue", "white")]
        >>> modality_share(SaysWhatIsAsked(), data)["share"]
        {'image': 0.0, 'question': 1.0}
    """
    g = torch.Generator().manual_seed(seed)
    right = {"": 0.0, "image": 0.0, "question": 0.0}
    count = 0
    for part in parts(dataset, batch_size):
        asked = flat([dataset[index] for index in part])
        images, questions, answers = (list(column) for column in zip(*asked, strict=True))
        if len(asked) < 2:
            if count:
                continue  # what is left over at the end
            raise ValueError("dataset must have two questions or more in a batch, to permute them")
        other = _moved(len(asked), g)
        for permuted, pairs in (
            ("", zip(images, questions, strict=True)),
            ("image", zip([images[i] for i in other], questions, strict=True)),
            ("question", zip(images, [questions[i] for i in other], strict=True)),
        ):
            found = model.predict(list(pairs), batch_size=64)
            scored = zip(found, answers, strict=True)
            right[permuted] += sum(answer_accuracy(result.text, a) for result, a in scored)
        count += len(asked)

    def share(permuted: float) -> float:
        return 1 - permuted / right[""] if right[""] else 0.0

    return {
        "accuracy": right[""] / count,
        "permuted": {name: right[name] / count for name in ("image", "question")},
        "share": {name: share(right[name]) for name in ("image", "question")},
    }


def _moved(count: int, g: torch.Generator) -> list[int]:
    """A permutation in which none stays at its place: one circle through all, in random order."""
    order = torch.randperm(count, generator=g)
    moved = torch.empty_like(order)
    moved[order] = order.roll(1)
    return moved.tolist()


def prior_accuracy(
    train: Iterable[tuple[str, Answers]], test: Iterable[tuple[str, Answers]]
) -> dict[str, float]:
    """How many questions can be answered by those who never see a picture.

    Args:
        train: questions and their answers, to count.
        test: others, to answer.

    Returns:
        Accuracies of three ways to answer: ``prior``, always the most frequent answer of all;
        ``type``, the most frequent of questions with the same first two words; and ``question``,
        that of the same question. Where there is none, the way before it answers.

    Raises:
        ValueError: there is no question.

    Source: Antol et al., "VQA: Visual Question Answering" (2015), section 4: the first two are
        its baselines.

    Example:
        >>> from fastcv.metrics import prior_accuracy
        >>> train = [("is it red", "no"), ("is it red", "no"), ("what is it", "a cat")]
        >>> prior_accuracy(train, [("is it blue", "no"), ("what is it", "a cat")])
        {'prior': 0.5, 'type': 1.0, 'question': 1.0}
    """
    counts: dict[str, Counter[str]] = {}
    for question, answer in train:
        for key in _keys(question):
            counts.setdefault(key, Counter())[most_frequent(answer)] += 1
    told = {key: counter.most_common(1)[0][0] for key, counter in counts.items()}
    right: dict[str, list[float]] = {"prior": [], "type": [], "question": []}
    for question, answer in test:
        guess = ""
        for name, key in zip(right, _keys(question), strict=True):
            guess = told.get(key, guess)
            right[name].append(answer_accuracy(guess, answer))
    if not told or not right["prior"]:
        raise ValueError("train and test must have a question each, and one has none")
    return {name: sum(values) / len(values) for name, values in right.items()}


def _keys(question: str) -> tuple[str, str, str]:
    words = question.lower().split()
    return "", " ".join(words[:2]) + " ...", " ".join(words)
