"""Batches of questions with answers, as ``fit`` takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastcv.data._picture_questions import most_frequent, questions_of
from fastcv.models.language._question_answerer import QuestionAnswerer
from fastcv.models.language._question_batch import (
    NO_CLASS,
    QuestionBatch,
    encoded,
    prepared,
    question_batch,
)


class QuestionBatches:
    """``fit``'s ``collate_fn``: items ``(image, question, answer)`` as a batch and its labels.

    An item may be of several questions about one picture: ``(image, questions, answers)``, two
    lists. Where people gave several answers to a question, the most frequent one is the label, the
    first of those that are. An answer that is none of the model's classes has the label -100, which
    ``loss`` leaves out.

    Args:
        model: whose words, classes and way to prepare pictures are taken; it is not kept.

    Example:
        >>> import fastcv, torch
        >>> from fastcv.learn import QuestionBatches
        >>> model = fastcv.create_model(
        ...     "vqa_lstm_cnn", words=("is", "it", "red"), classes=("yes", "no"), width=4,
        ...     image_size=32, features=8, hidden_size=8, common_size=8,
        ... )
        >>> collate = QuestionBatches(model)
        >>> batch, labels = collate([(torch.rand(3, 40, 50), "is it red", "no")])
        >>> batch.images.shape, batch.ids, labels
        (torch.Size([1, 3, 32, 32]), tensor([[4, 5, 6]]), tensor([1]))
    """

    def __init__(self, model: QuestionAnswerer) -> None:
        self.vocabulary, self.max_words = model.vocabulary, model.max_words
        self.preprocessing = model.preprocessing
        self.label_of = {name: label for label, name in enumerate(model.classes)}

    def __call__(self, items: Sequence[Any]) -> tuple[QuestionBatch, Tensor]:
        """Raises a ValueError of a question without a word that is known."""
        images, pictures, ids, labels = [], [], [], []
        for number, (image, *asked) in enumerate(items):
            images.append(image)
            for question, answer in questions_of(*asked):
                pictures.append(number)
                ids.append(encoded(self.vocabulary, question, self.max_words))
                labels.append(self.label_of.get(most_frequent(answer), NO_CLASS))
        batch = prepared(images, self.preprocessing, torch.float32)
        return question_batch(batch, ids, pictures), torch.tensor(labels)
