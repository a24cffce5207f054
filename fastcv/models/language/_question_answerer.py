"""What every model shares that answers questions about pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.images import read_image
from fastcv.language import Vocabulary
from fastcv.models._image_model import ImageModel
from fastcv.models._model import Model
from fastcv.models._predict import predict_each
from fastcv.models.language._question_batch import (
    NO_CLASS,
    ImageQuestion,
    Modality,
    as_pairs,
    check_modality,
    encoded,
    prepared,
    question_batch,
)
from fastcv.nn.losses._tensors import check_tensor
from fastcv.results import Answer, Classification


class QuestionAnswerer(Model):
    """A model from a ``QuestionBatch`` to logits ``[B, classes]``; an answer is a class.

    A subclass writes ``forward(batch, *, without=None)``, and sets ``vocabulary`` and ``classes``.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model(
        ...     "vqa_lstm_cnn", words=("is", "it", "red"), classes=("yes", "no"), width=4,
        ...     image_size=32, features=8, hidden_size=8, common_size=8,
        ... )
        >>> answers = model.predict(torch.rand(3, 40, 40), ["is it red", "is it blue"])
        >>> [answer.question for answer in answers]
        ['is it red', 'is it blue']
    """

    vocabulary: Vocabulary
    max_words: int = 26
    """A longer question is cut, with a warning."""

    preprocessing: Mapping[str, Any] = {
        "size": (224, 224),
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    }
    """``size``: the height and width that pictures are stretched to, in pixels."""

    def loss(self, output: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The mean cross-entropy.

        Args:
            output: logits ``[B, classes]``.
            targets: labels ``[B]`` int64; -100 where the answer is none of the model's: it does not
                count.

        Raises:
            TypeError: targets that are no tensor.
            ValueError: targets of another shape or dtype, or a label that no class has.
        """
        check_tensor("output", output)
        check_tensor("targets", targets)
        if targets.shape != output.shape[:1] or targets.dtype != torch.int64:
            raise ValueError(
                f"targets must be int64 [{len(output)}], got {targets.dtype} {list(targets.shape)}"
            )
        known = targets != NO_CLASS
        if bool((known & ((targets < 0) | (targets >= output.shape[1]))).any()):
            raise ValueError(
                f"targets must be labels 0 to {output.shape[1] - 1}, or {NO_CLASS}, got "
                f"{int(targets.min())} to {int(targets.max())}"
            )
        # No mean of nothing: it would be NaN.
        summed = F.cross_entropy(output, targets, ignore_index=NO_CLASS, reduction="sum")
        return {"cross_entropy": summed / known.sum().clamp(min=1)}

    def encode(self, question: str) -> Tensor:
        """A question's words as ids ``[T]`` int64.

        Raises:
            TypeError: it is no text.
            ValueError: it has no word, or none that the model knows.
        """
        return encoded(self.vocabulary, question, self.max_words)

    def prepare(self, images: Sequence[Tensor]) -> Tensor:
        """Images ``[3, H, W]``, uint8 or in [0, 1], of any sizes as one batch on the model's
        device."""
        like = next(self.parameters(), torch.empty(0))
        images = [image.to(like.device) for image in images]
        return prepared(images, self.preprocessing, like.dtype)

    def predict(
        self,
        inputs: Any,
        questions: str | Sequence[str] | None = None,
        *,
        batch_size: int = 16,
        progress: bool = False,
        without: Modality | None = None,
    ) -> list[Answer]:
        """Answers to questions about pictures.

        Runs in eval mode without gradients, on the model's device and in its dtype; the training
        flags are put back.

        Args:
            inputs: pairs ``(picture, question)``, one or a list; or with ``questions`` pictures,
                one or several, in any form that ``read_image`` takes.
            questions: one about each of several pictures, or one or several about one picture.
            batch_size: questions at a time. A picture that is asked about several times in a row
                is read once, and seen once in each batch.
            progress: show a progress bar.
            without: ``"image"`` or ``"question"``: answer without it, as modality dropout trains.

        Returns:
            An answer to each question, in order.

        Raises:
            TypeError: an input that is no pair, or a picture of a kind that is not taken.
            ValueError: a picture that cannot be read; a question without a word, or with none that
                the model knows; or several pictures and several questions.
            FileNotFoundError: a path that is not there.
        """
        found = self.predict_iter(
            inputs, questions, batch_size=batch_size, progress=progress, without=without
        )
        return [answer for _, answer in found]

    def predict_iter(
        self,
        inputs: Any,
        questions: str | Sequence[str] | None = None,
        *,
        batch_size: int = 16,
        on_error: Literal["raise", "yield"] = "raise",
        progress: bool = False,
        without: Modality | None = None,
    ) -> Iterator[tuple[ImageQuestion, Any]]:
        """``predict`` one by one: for more pictures than fit into memory, and for broken ones.

        Args:
            inputs, questions, batch_size, progress, without: as for ``predict``; ``inputs`` may be
                an iterator, asked for a batch at a time.
            on_error: ``"raise"``, or ``"yield"``: what cannot be read yields its error in place of
                an answer, and the others go on.

        Yields:
            ``(ImageQuestion, answer)`` in order; with ``on_error="yield"`` also ``(ImageQuestion,
            error)``.

        Raises:
            TypeError, ValueError, FileNotFoundError: as ``predict``, when iterated.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        if on_error not in ("raise", "yield"):
            raise ValueError(f"on_error must be 'raise' or 'yield', got {on_error!r}")
        check_modality("without", without)
        return predict_each(
            self,
            as_pairs(inputs, questions),
            _Reader(self.encode),
            lambda read: self._answers(read, without),
            batch_size=batch_size,
            on_error=on_error,
            progress=progress,
        )

    def predict_options(self) -> list[str]:
        """The names of the options that ``predict`` takes."""
        return ["batch_size", "progress", "without"]

    def postprocess(self, output: Tensor) -> Tensor:
        """Probabilities ``[B, classes]`` of logits."""
        return output.softmax(dim=1)

    def about(self, question: str) -> AskedAbout:
        """The model with this question in mind: from pictures to answers, for ``fastcv.explain``.

        Raises:
            ValueError: as ``encode``.

        Example:
            >>> import fastcv, torch
            >>> model = fastcv.create_model(
            ...     "vqa_lstm_cnn", words=("is", "it", "red"), classes=("yes", "no"), width=4,
            ...     image_size=64, features=8, hidden_size=8, common_size=8,
            ... )
            >>> asked = model.about("is it red")
            >>> fastcv.explain.grad_cam(asked, torch.rand(3, 40, 40), "yes").maps.shape
            torch.Size([1, 64, 64])
        """
        return AskedAbout(self, question)

    def _answers(self, read: Sequence[_Read], without: Modality | None) -> list[Answer]:
        images: list[Tensor] = []
        pictures = []
        for one in read:
            if not images or images[-1] is not one.image:
                images.append(one.image)
            pictures.append(len(images) - 1)
        batch = question_batch(self.prepare(images), [one.ids for one in read], pictures)
        scores = self.postprocess(self(batch, without=without))
        return [
            Answer(row, self.classes, one.question, one.source, image_size=one.size)
            for row, one in zip(scores, read, strict=True)
        ]


class AskedAbout(ImageModel):
    """A question answerer with one question: a classifier of pictures, whose classes are answers.

    Args:
        model: the question answerer, which is shared.
        question: about all pictures.
    """

    def __init__(self, model: QuestionAnswerer, question: str) -> None:
        super().__init__()
        self.model, self.question = model, question
        self.classes, self.preprocessing = model.classes, model.preprocessing
        self.ids = model.encode(question)

    def prepare(self, images: list[Tensor]) -> Tensor:
        """As of the question answerer."""
        return self.model.prepare(images)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, classes]`` of prepared images ``[B, 3, H, W]``."""
        count = len(images)
        logits: Tensor = self.model(question_batch(images, [self.ids] * count, range(count)))
        return logits

    def postprocess(self, output: Tensor) -> list[Classification]:
        """The probabilities of the answers, for each image."""
        return [Classification(row, self.classes) for row in self.model.postprocess(output)]


class _Read(NamedTuple):
    """An input as it was read: ``image`` ``[3, H, W]``, ``ids`` ``[T]``."""

    image: Tensor
    ids: Tensor
    question: str
    source: str | None
    size: tuple[int, int]


class _Reader:
    """Reads pairs; a picture once that comes several times in a row."""

    def __init__(self, encode: Callable[[str], Tensor]) -> None:
        self.encode = encode
        self.given: Any = None
        self.image = torch.empty(0)

    def __call__(self, pair: ImageQuestion) -> _Read:
        ids = self.encode(pair.question)
        source = None if isinstance(pair.image, (Tensor, np.ndarray)) else _path(pair.image)
        if self.given is None or self.given is not pair.image:
            self.image = read_image(pair.image)
            self.given = pair.image
        height, width = self.image.shape[1:]
        return _Read(self.image, ids, pair.question, source, (height, width))


def _path(image: Any) -> str | None:
    return str(image) if isinstance(image, str) or hasattr(image, "__fspath__") else None
