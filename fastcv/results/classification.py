"""A score for each class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor

from fastcv._json import plain
from fastcv.draw.canvas import Canvas
from fastcv.draw.typeface import FontPath
from fastcv.images import ImageInput
from fastcv.results._drawable import Drawable


@dataclass(repr=False, eq=False)
class Classification(Drawable):
    """What a classifier predicts for one picture.

    Args:
        scores: ``[C]``, the classes' probabilities.
        classes: names by label.
        source: the picture's path, if it came from a file.

    Example:
        >>> import torch
        >>> from fastcv.results import Classification
        >>> result = Classification(torch.tensor([0.25, 0.625, 0.125]), ("bee", "cat", "dog"))
        >>> result
        Classification(cat 0.62, bee 0.25, dog 0.12)
        >>> result.top(1)
        [('cat', 0.625)]
    """

    scores: Tensor
    classes: tuple[str, ...]
    source: str | None = None

    def __post_init__(self) -> None:
        if self.scores.ndim != 1:
            raise ValueError(f"scores must be [C], got {list(self.scores.shape)}")

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The ``k`` likeliest classes as ``(name, score)``, the likeliest first."""
        return [(self.name_of(label), score) for label, score in self._top(k)]

    def __repr__(self) -> str:
        return f"Classification({', '.join(f'{name} {score:.2f}' for name, score in self.top(3))})"

    def draw(self, image: ImageInput | None = None, *, font: FontPath | None = None) -> Image.Image:
        """The picture with the likeliest classes as bars; tiny pictures are enlarged.

        Args:
            image: the picture, in any form that ``read_image`` takes; None: the file it came from.
            font: of the names: a font file, or its name where the system has it; None: Pillow's
                own. Characters that it lacks come from other fonts.

        Raises:
            ValueError: no picture, or ``font`` is no font file.
        """
        canvas = Canvas(self._picture(image), font)
        canvas.bars([(self.name_of(label), score, label) for label, score in self._top(5)])
        return canvas.finish()

    def to_dict(self) -> dict[str, Any]:
        """``file`` and ``classes``, the five likeliest; None for a score that is NaN."""
        found: dict[str, Any] = {
            "file": self.source,
            "classes": [
                {"label": label, "name": self.name_of(label), "score": round(score, 4)}
                for label, score in self._top(5)
            ],
        }
        return plain(found)

    def _top(self, k: int) -> list[tuple[int, float]]:
        scores, labels = self.scores.topk(min(k, len(self.scores)))
        return list(zip(labels.tolist(), scores.tolist(), strict=True))
