"""Pairs of a picture and a question, and batches of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.images import ImageInput
from fastcv.language import Vocabulary, pad_texts
from fastcv.models._image_model import as_list

NO_CLASS = -100
"""The label of an answer that is none of the model's: the loss leaves it out."""

Modality = Literal["image", "question"]
MODALITIES: tuple[Modality, ...] = ("image", "question")


class ImageQuestion(NamedTuple):
    """A picture and a question about it; any pair of them is taken for one.

    Args:
        image: in any form that ``read_image`` takes.
        question: words, in any case.
    """

    image: ImageInput
    question: str


class QuestionBatch(NamedTuple):
    """What ``forward`` takes. A picture with several questions is there once.

    Args:
        images: ``[N, 3, H, W]``, prepared.
        ids: ``[B, T]`` int64, the questions' words; 0 behind the end of each.
        lengths: ``[B]`` int64, words of each, on the CPU or not.
        pictures: ``[B]`` int64, the row of ``images`` that each question is about.
    """

    images: Tensor
    ids: Tensor
    lengths: Tensor
    pictures: Tensor


def as_pairs(inputs: Any, questions: str | Sequence[str] | None) -> Iterable[ImageQuestion]:
    """What ``predict`` takes as pairs.

    Raises:
        TypeError: an input that is no pair, or questions that are no texts.
        ValueError: several pictures and several questions.
    """
    if questions is None:
        if _is_pair(inputs):
            return [ImageQuestion(*inputs)]
        if isinstance(inputs, (list, tuple)):
            return [_as_pair(one) for one in inputs]
        if isinstance(inputs, Iterator):
            return map(_as_pair, inputs)
        return [_as_pair(inputs)]
    if isinstance(questions, str):
        images = as_list(inputs)
        if isinstance(images, Iterator):
            return (ImageQuestion(image, questions) for image in images)
        return [ImageQuestion(image, questions) for image in images]
    several = as_list(inputs)
    if not isinstance(questions, (list, tuple)):
        raise TypeError(
            f"questions must be a text or a list of texts, got {type(questions).__name__}"
        )
    if isinstance(several, Iterator) or len(several) != 1:
        raise ValueError(
            "several questions must be about one picture: of several pictures pass a list of "
            "pairs (picture, question)"
        )
    return [ImageQuestion(several[0], question) for question in questions]


def _is_pair(given: Any) -> bool:
    return isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], str)


def _as_pair(given: Any) -> ImageQuestion:
    if not _is_pair(given):
        raise TypeError(
            "an input must be a pair (picture, question), or pass the questions as the second "
            f"argument, got {type(given).__name__}"
        )
    return ImageQuestion(*given)


def check_modality(name: str, value: object) -> None:
    """Refuses what is neither None nor a modality.

    Raises:
        ValueError: so it is.
    """
    if value is not None and value not in MODALITIES:
        raise ValueError(f"{name} must be 'image', 'question' or None, got {value!r}")


def encoded(vocabulary: Vocabulary, question: str, max_words: int) -> Tensor:
    """A question's words as ids; errors as of ``QuestionAnswerer.encode``."""
    if not isinstance(question, str):
        raise TypeError(f"a question must be a text, got {type(question).__name__}")
    try:
        return vocabulary.encode(question, max_words=max_words)
    except ValueError as error:
        raise ValueError(f"a question's {error}") from None


def prepared(images: Sequence[Tensor], how: Mapping[str, Any], dtype: torch.dtype) -> Tensor:
    """Images ``[3, H, W]``, uint8 or in [0, 1], stretched to one size and normalised.

    Args:
        images: of any sizes, on one device.
        how: a model's ``preprocessing``.
        dtype: of what is returned.
    """
    size = tuple(how["size"])
    scaled = []
    for image in images:
        floats = image.to(dtype) / (255 if image.dtype == torch.uint8 else 1)
        if floats.shape[1:] != size:
            floats = F.interpolate(
                floats[None], size, mode="bilinear", align_corners=False, antialias=True
            )[0].clamp(0, 1)
        scaled.append(floats)
    batch = torch.stack(scaled)
    mean, std = (batch.new_tensor(how[key])[:, None, None] for key in ("mean", "std"))
    return (batch - mean) / std


def question_batch(
    images: Tensor, questions: Sequence[Tensor], pictures: Iterable[int]
) -> QuestionBatch:
    """A batch of prepared images ``[N, 3, H, W]``, questions' ids, and the image of each."""
    ids, lengths = pad_texts(questions)
    which = torch.tensor(list(pictures), device=images.device)
    return QuestionBatch(images, ids.to(images.device), lengths, which)


def check_question_batch(batch: object, words: int) -> None:
    """Refuses what ``forward`` cannot take.

    Raises:
        TypeError: it is no ``QuestionBatch``.
        ValueError: ids that none of ``words`` words has, or pictures that are not there.
    """
    if not isinstance(batch, QuestionBatch):
        raise TypeError(f"batch must be a QuestionBatch, got {type(batch).__name__}")
    if batch.images.ndim != 4 or batch.images.shape[1] != 3:
        raise ValueError(f"images must be [N, 3, H, W], got {list(batch.images.shape)}")
    for name, given, count in (
        ("ids", batch.ids, words),
        ("pictures", batch.pictures, len(batch.images)),
    ):
        if bool(((given < 0) | (given >= count)).any()):
            raise ValueError(
                f"{name} must be 0 to {count - 1}, got {int(given.min())} to {int(given.max())}"
            )
