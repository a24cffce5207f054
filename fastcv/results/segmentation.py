"""A class for each pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor

from fastcv.images import ImageInput
from fastcv.results._base import Result


@dataclass(repr=False, eq=False)
class Segmentation(Result):
    """What a segmenter says of one picture.

    Args:
        labels: ``[H, W]``, integers.
        classes: names by label.
        scores: ``[C, H, W]``, the classes' probabilities, if they were kept.
        source: the picture's path, if it came from a file.
    """

    labels: Tensor
    classes: tuple[str, ...]
    scores: Tensor | None = None
    source: str | None = None

    def draw(self, image: ImageInput | None = None) -> Image.Image:
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        raise NotImplementedError
