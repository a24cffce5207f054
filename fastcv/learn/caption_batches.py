"""Batches as captioners take them: squares, and one caption of each picture as ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from fastcv.language.vocabulary import Vocabulary, pad_texts
from fastcv.models.language._captioner import Captioner, as_squares

Items = Sequence[tuple[Tensor, Sequence[str]]]
Targets = tuple[Tensor, Tensor]


def caption_batches(
    model: Captioner, *, max_words: int = 50
) -> Callable[[Items], tuple[Tensor, Targets]]:
    """A ``collate_fn`` for ``fit``: pictures with captions to what a captioner learns from.

    Of each picture one caption is drawn; under ``fit`` a resumed run draws what the first would
    have drawn. A caption without a known word is passed over where the picture has another.

    Args:
        model: whose vocabulary and ``preprocessing`` it is.
        max_words: a longer caption is cut, with a warning.

    Returns:
        A function of a list of ``(image, captions)``, with images ``[3, H, W]`` in [0, 1] of any
        sizes. It returns ``(images, (ids, lengths))``: ``[B, 3, S, S]``, normalised; ``[B, T]``
        int64 from ``<start>`` to ``<end>``, with 0 behind it; and ``[B]`` int64. It raises a
        ValueError where no caption of a picture has a known word.

    Example:
        >>> import fastcv, torch
        >>> from fastcv.learn import caption_batches
        >>> model = fastcv.create_model("show_and_tell_resnet18", words=("a", "cat"), size=32)
        >>> collate = caption_batches(model)
        >>> items = [(torch.rand(3, 20, 30), ["A cat."]), (torch.rand(3, 9, 9), ["a cat a cat"])]
        >>> images, (ids, lengths) = collate(items)
        >>> images.shape, ids.tolist(), lengths.tolist()
        (torch.Size([2, 3, 32, 32]), [[1, 4, 5, 3, 2, 0], [1, 4, 5, 4, 5, 2]], [5, 6])
    """
    return partial(_batch, model.vocabulary, dict(model.preprocessing), max_words)


def _batch(
    vocabulary: Vocabulary, preprocessing: Mapping[str, Any], max_words: int, items: Items
) -> tuple[Tensor, Targets]:
    texts = [drawn_caption(vocabulary, captions, max_words) for _, captions in items]
    return as_squares([image for image, _ in items], preprocessing), pad_texts(texts)


def drawn_caption(vocabulary: Vocabulary, captions: Sequence[str], max_words: int = 50) -> Tensor:
    """The ids of one of a picture's captions, drawn among those with a known word.

    Raises:
        ValueError: none has a known word.
    """
    error = ValueError("captions must be one or more for each picture, one has none")
    for i in torch.randperm(len(captions)).tolist():
        try:
            return vocabulary.encode(captions[i], ends=True, max_words=max_words)
        except ValueError as found:
            error = found
    raise error
