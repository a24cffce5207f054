"""An answer to a question about a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor

from fastcv._json import plain
from fastcv.draw.question_panel import question_panel
from fastcv.draw.typeface import FontPath
from fastcv.images import ImageInput
from fastcv.results._drawable import Drawable


@dataclass(repr=False, eq=False)
class Answer(Drawable):
    """What a model answers to a question about a picture.

    Args:
        scores: ``[C]``, the answers' probabilities.
        classes: the answers that the model has, by label.
        question: as it was asked.
        source: the picture's path, if it came from a file.
        image_size: the picture's ``(height, width)``, where it is known.

    Example:
        >>> import torch
        >>> from fastcv.results import Answer
        >>> answer = Answer(torch.tensor([0.25, 0.625, 0.125]), ("red", "blue", "no"), "which?")
        >>> answer
        Answer(which? blue 0.62, red 0.25, no 0.12)
        >>> answer.text, answer.score
        ('blue', 0.625)
    """

    scores: Tensor
    classes: tuple[str, ...]
    question: str
    source: str | None = None
    image_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.scores.ndim != 1 or len(self.scores) == 0:
            raise ValueError(f"scores must be [C], got {list(self.scores.shape)}")

    @property
    def text(self) -> str:
        """The likeliest answer."""
        return self.top(1)[0][0]

    @property
    def score(self) -> float:
        """Its probability."""
        return self.top(1)[0][1]

    def top(self, k: int = 5) -> list[tuple[str, float]]:
        """The ``k`` likeliest answers as ``(text, score)``, the likeliest first."""
        return [(self.name_of(label), score) for label, score in self._top(k)]

    def __repr__(self) -> str:
        found = ", ".join(f"{text} {score:.2f}" for text, score in self.top(3))
        return f"Answer({self.question} {found})"

    def draw(self, image: ImageInput | None = None, *, font: FontPath | None = None) -> Image.Image:
        """The picture, the question below it, and the likeliest answers as bars; tiny pictures are
        enlarged.

        Args:
            image: the picture, in any form that ``read_image`` takes; None: the file it came from.
            font: of the texts: a font file, or its name where the system has it; None: Pillow's
                own. Characters that it lacks come from other fonts.

        Raises:
            ValueError: no picture, or ``font`` is no font file.
        """
        rows = [(self.name_of(label), score, label) for label, score in self._top(5)]
        return question_panel(self._picture(image), self.question, rows, font)

    def to_dict(self) -> dict[str, Any]:
        """``file``, ``question``, ``answer`` and ``answers``, the five likeliest; None for a score
        that is NaN."""
        found: dict[str, Any] = {
            "file": self.source,
            "question": self.question,
            "answer": self.text,
            "answers": [
                {"label": label, "text": self.name_of(label), "score": round(score, 4)}
                for label, score in self._top(5)
            ],
        }
        return plain(found)

    def _top(self, k: int) -> list[tuple[int, float]]:
        scores, labels = self.scores.topk(min(k, len(self.scores)))
        return list(zip(labels.tolist(), scores.tolist(), strict=True))
