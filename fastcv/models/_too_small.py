"""Pictures that are too small for a model's layers: what torch says of them, as a sentence."""

from __future__ import annotations

from typing import Any

from torch import Tensor

NOTHING_LEFT = "{} are too small for this model, whose layers make them smaller: take larger ones"
SENTENCES = {
    "Expected more than 1 ": "a norm is left with one value of each channel in {}, and one value "
    "has no spread: take larger pictures or crops, or more of them in a batch",
    "Output size is too small": NOTHING_LEFT,
    "Kernel size can't be greater than actual input size": NOTHING_LEFT,
}
"""By a part of torch's message."""


def too_small(error: Exception, images: Any) -> str | None:
    """A sentence where an error of ``forward`` is of pictures that are too small, else None.

    Args:
        error: what a layer raised.
        images: what ``forward`` was given.
    """
    for part, sentence in SENTENCES.items():
        if part in str(error):
            return sentence.format(_in_words(images))
    return None


def _in_words(images: Any) -> str:
    """``pictures of 32 x 32 pixels (2 at a time)``, as far as that can be told."""
    if isinstance(images, Tensor) and images.ndim == 4:
        height, width = images.shape[2:]
        return f"pictures of {height} x {width} pixels ({len(images)} at a time)"
    return f"these pictures{f' ({len(images)} at a time)' if isinstance(images, list) else ''}"
