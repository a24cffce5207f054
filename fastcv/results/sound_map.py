"""Where in a picture a sound comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from fastcv._json import plain
from fastcv.draw.canvas import Canvas
from fastcv.draw.typeface import FontPath
from fastcv.images import ImageInput
from fastcv.results._drawable import Drawable
from fastcv.results.attribution import heat


@dataclass(repr=False, eq=False)
class SoundMap(Drawable):
    """How much each cell of a picture is like a sound.

    Args:
        scores: ``[h, w]``, cosines from 0 to 1: 0 where the sound is not.
        source: the picture's path, if it came from a file.
        sound: what the sound was read from, for people.
        image_size: the picture's ``(height, width)``, where it is known.

    Raises:
        ValueError: scores of another shape.

    Example:
        >>> import torch
        >>> from fastcv.results import SoundMap
        >>> scores = torch.zeros(4, 5)
        >>> scores[1, 3] = 0.5
        >>> found = SoundMap(scores, image_size=(80, 100))
        >>> found
        SoundMap(4x5 cells, 0.50 at x 70, y 30)
        >>> found.resized().shape, found.draw(torch.rand(3, 80, 100)).size
        (torch.Size([80, 100]), (400, 320))
    """

    scores: Tensor
    source: str | None = None
    sound: str | None = None
    image_size: tuple[int, int] | None = None
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.scores.ndim != 2 or 0 in self.scores.shape:
            raise ValueError(f"scores must be [h, w], got {list(self.scores.shape)}")

    @property
    def shares(self) -> Tensor:
        """``[h, w]``, the softmax of the scores over all cells, which the model learns. Scores are
        at most 1, so that no share is e times as large as another."""
        return self.scores.flatten().softmax(dim=0).view_as(self.scores)

    @property
    def peak(self) -> tuple[float, float]:
        """The middle of the highest cell as (x, y): pixels of the picture, or shares of its sides
        where its size is not known."""
        rows, columns = self.scores.shape
        row, column = divmod(int(self.scores.argmax()), columns)
        height, width = self.image_size or (1, 1)
        return (column + 0.5) * width / columns, (row + 0.5) * height / rows

    def resized(self, size: tuple[int, int] | None = None) -> Tensor:
        """The scores ``[H, W]`` between the cells' middles, bilinear.

        Args:
            size: height and width; None: the picture's.

        Raises:
            ValueError: no size, and that of the picture is not known.
        """
        size = size or self.image_size
        if size is None:
            raise ValueError("size is needed: the picture's is not known")
        scores = self.scores.float()[None, None]
        return F.interpolate(scores, size, mode="bilinear", align_corners=False)[0, 0]

    def __repr__(self) -> str:
        rows, columns = self.scores.shape
        (x, y), places = self.peak, 0 if self.image_size else 2
        at = f"x {x:.{places}f}, y {y:.{places}f}"
        return f"SoundMap({rows}x{columns} cells, {float(self.scores.max()):.2f} at {at})"

    def draw(self, image: ImageInput | None = None, *, font: FontPath | None = None) -> Image.Image:
        """The map as colours over the picture, which is grey below; tiny pictures are enlarged.

        Colours have one scale, from 0 to a cosine of 1, so that drawings can be compared.

        Args:
            image: the picture, in any form that ``read_image`` takes; None: the file it came from.
            font: not used, there are no words.

        Raises:
            ValueError: no picture, or ``font`` is no font file.
        """
        picture = self._picture(image)
        values = self.resized((picture.height, picture.width)).cpu()
        shown = heat(np.array(picture), values, strongest=1.0)
        return Canvas(Image.fromarray(shown), font).finish()

    def to_dict(self) -> dict[str, Any]:
        """``file``, ``sound``, ``peak`` as [x, y], ``score`` there, and ``scores`` by row."""
        found: dict[str, Any] = {
            "file": self.source,
            "sound": self.sound,
            "peak": [round(value, 4) for value in self.peak],
            "score": round(float(self.scores.max()), 6),
            "scores": [[round(value, 6) for value in row] for row in self.scores.tolist()],
        }
        return plain(found)
