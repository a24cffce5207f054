"""Pictures that a generator made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor

from fastcv.draw.contact_sheet import contact_sheet
from fastcv.draw.texts import draw_texts
from fastcv.draw.typeface import FontPath
from fastcv.images import ImageInput
from fastcv.results._drawable import Drawable

GAP = 2  # white pixels between pictures


@dataclass(repr=False, eq=False)
class Generated(Drawable):
    """Pictures that a generator made.

    Args:
        pictures: ``[N, 3, H, W]`` in [0, 1].
        seed: of the random numbers that they were made of, where there was one.
        classes: names by label, of a generator that can be asked for classes.
        labels: ``[N]`` int64, what each was to be a picture of.
        texts: the sentence that each was to show; those of one sentence are neighbours.

    Raises:
        ValueError: pictures or labels of another shape, or texts for not all of the pictures.

    Example:
        >>> import torch
        >>> from fastcv.results import Generated
        >>> made = Generated(torch.rand(6, 3, 32, 32), seed=1)
        >>> made, made.draw().size
        (Generated(6 pictures of 32x32, seed 1), (104, 70))
    """

    pictures: Tensor
    seed: int | None = None
    source: str | None = None
    classes: tuple[str, ...] = ()
    labels: Tensor | None = None
    texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = list(self.pictures.shape)
        if len(shape) != 4 or shape[1] != 3 or 0 in shape:
            raise ValueError(f"pictures must be [N, 3, H, W], got {shape}")
        if self.labels is not None and self.labels.shape != (shape[0],):
            raise ValueError(f"labels must be [{shape[0]}], got {list(self.labels.shape)}")
        if len(self.texts) not in (0, shape[0]):
            raise ValueError(f"texts must be one for each picture, got {len(self.texts)}")

    @property
    def image_size(self) -> tuple[int, int]:  # type: ignore[override]  # what is known is not set
        """The pictures' ``(height, width)``."""
        return (self.pictures.shape[2], self.pictures.shape[3])

    def __len__(self) -> int:
        return len(self.pictures)

    def __repr__(self) -> str:
        height, width = self.image_size
        seed = "" if self.seed is None else f", seed {self.seed}"
        return f"Generated({len(self)} picture{'s' * (len(self) != 1)} of {height}x{width}{seed})"

    def images(self) -> list[Image.Image]:
        """Each picture by itself."""
        pixels = self.pictures.detach().float().nan_to_num(0).clamp(0, 1).mul(255).round().byte()
        return [Image.fromarray(p.numpy()) for p in pixels.permute(0, 2, 3, 1).cpu()]

    def draw(self, image: ImageInput | None = None, *, font: FontPath | None = None) -> Image.Image:
        """One picture as it is; several as a square sheet; a row under each sentence, where there
        are some. Nothing is enlarged.

        Args:
            image: what they were made of: it stands to their left. None: they stand alone.
            font: of the sentences, as of ``Drawable.draw``.
        """
        pictures = self.images()
        if self.texts:
            return draw_texts(pictures, self.texts, GAP, font)
        columns = math.isqrt(len(pictures) - 1) + 1
        made = pictures[0] if len(pictures) == 1 else contact_sheet(pictures, columns, GAP)
        if image is None:
            return made
        given = self._picture(image)
        size = (given.width + GAP + made.width, max(given.height, made.height))
        both = Image.new("RGB", size, "white")
        both.paste(given, (0, 0))
        both.paste(made, (given.width + GAP, 0))
        return both

    def to_dict(self) -> dict[str, Any]:
        """``file``, ``seed``, ``pictures`` (how many) and ``size`` (height and width); where they
        were asked for by class also ``labels`` and ``names``, where by sentence also ``texts``."""
        told: dict[str, Any] = {
            "file": self.source,
            "seed": self.seed,
            "pictures": len(self),
            "size": list(self.image_size),
        }
        if self.labels is not None:
            labels = self.labels.tolist()
            told |= {"labels": labels, "names": [self.name_of(label) for label in labels]}
        if self.texts:
            told["texts"] = list(self.texts)
        return told
