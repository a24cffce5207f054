"""A class for each pixel."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fastcv._files import replacing
from fastcv.classes import IGNORE
from fastcv.draw.canvas import Canvas, color_of
from fastcv.draw.typeface import Color, FontPath
from fastcv.images import ImageInput
from fastcv.results._drawable import Drawable

UNLABELLED = (224, 224, 192)  # as VOC's files have it


@dataclass(repr=False, eq=False)
class Segmentation(Drawable):
    """A class for each pixel of one picture, predicted by a segmenter or drawn by a person.

    Args:
        labels: ``[H, W]``, integers from 0. 255 is no class, ``unlabelled``, unless there are more
            than 255 classes.
        classes: names by label.
        scores: ``[C, H, W]``, the classes' probabilities, if they were kept.
        source: the picture's path, if it came from a file.

    Raises:
        ValueError: labels or scores of another shape.
        TypeError: labels that are no integers.

    Example:
        >>> import torch
        >>> from fastcv.results import Segmentation
        >>> labels = torch.zeros(4, 5, dtype=torch.int64)
        >>> labels[1:3, 1:4] = 2
        >>> found = Segmentation(labels, ("background", "cat", "dog"))
        >>> found
        Segmentation(4x5: background 70.0 %, dog 30.0 %)
        >>> found.shares()
        [('background', 0.7), ('dog', 0.3)]
    """

    labels: Tensor
    classes: tuple[str, ...]
    scores: Tensor | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        shape = list(self.labels.shape)
        if len(shape) != 2 or 0 in shape:
            raise ValueError(f"labels must be [H, W], got {shape}")
        if self.labels.is_floating_point() or self.labels.dtype == torch.bool:
            raise TypeError(f"labels must be integers, got {self.labels.dtype}")
        if self.scores is not None and list(self.scores.shape[1:]) != shape:
            raise ValueError(
                f"scores must be [C, {shape[0]}, {shape[1]}], got {list(self.scores.shape)}"
            )

    @property
    def image_size(self) -> tuple[int, int]:  # type: ignore[override]  # what is known is not set
        """The picture's ``(height, width)``."""
        return (self.labels.shape[0], self.labels.shape[1])

    def shares(self) -> list[tuple[str, float]]:
        """The classes that occur as ``(name, share of the pixels)``, the commonest first."""
        total = self.labels.numel()
        return [(self.name_of(label), pixels / total) for label, pixels in self._counts()]

    def name_of(self, label: int) -> str:
        """The class's name; ``"unlabelled"`` for 255, ``"class 7"`` where there are no names."""
        return "unlabelled" if self._is_unlabelled(label) else super().name_of(label)

    def color_of(self, label: int) -> Color:
        """The class's colour in drawings and files; black for the background."""
        if self._is_unlabelled(label):
            return UNLABELLED
        return (0, 0, 0) if self._is_background(label) else color_of(label)

    def __repr__(self) -> str:
        shares = self.shares()
        kinds = [f"{name} {100 * share:.1f} %" for name, share in shares[:5]]
        more = [f"{len(shares) - 5} more classes"] if len(shares) > 5 else []
        height, width = self.labels.shape
        return f"Segmentation({height}x{width}: {', '.join(kinds + more)})"

    def draw(
        self,
        image: ImageInput | None = None,
        *,
        legend: bool = True,
        font: FontPath | None = None,
    ) -> Image.Image:
        """The picture under the classes' colours, their borders, and names and shares below it.

        A class called ``background`` is left uncoloured. Tiny pictures are enlarged.

        Args:
            image: the picture, in any form that ``read_image`` takes; None: the file it came from.
            font: of the names: a font file, or its name where the system has it; None: Pillow's
                own. Characters that it lacks come from other fonts.
            legend: add the classes that occur below the picture.

        Raises:
            ValueError: no picture, one of another size than the labels, or a font that is no
                font file.
        """
        picture = self._picture(image)
        height, width = self.labels.shape
        if picture.size != (width, height):
            raise ValueError(
                f"image must be {height}x{width}, the size of the labels, got "
                f"{picture.height}x{picture.width}"
            )
        canvas = Canvas(picture, font)
        there = [label for label, _ in self._counts()]
        canvas.regions(
            self.labels, {k: self.color_of(k) for k in there if not self._is_background(k)}
        )
        if legend:
            entries = zip(there, self.shares(), strict=True)
            canvas.legend(
                [(f"{name}  {100 * x:.1f} %", self.color_of(k)) for k, (name, x) in entries]
            )
        return canvas.finish()

    def label_image(self) -> Image.Image:
        """The labels as an image with a palette, which keeps each of them exactly.

        Labels over 255 make it one of 16 bits, without colours.

        Raises:
            ValueError: labels beyond 16 bits.
        """
        labels, max_label = self.labels.cpu(), int(self.labels.max())
        if max_label > 65535:
            raise ValueError(f"labels must be 65535 or less for a PNG, got {max_label}")
        if max_label > 255:
            return Image.fromarray(labels.numpy().astype(np.uint16))
        image = Image.fromarray(labels.to(torch.uint8).numpy())
        image.putpalette([x for label in range(256) for x in self.color_of(label)])
        return image

    def save_labels(self, path: str | os.PathLike[str]) -> None:
        """``label_image`` as a PNG; ``save`` writes the drawing.

        The form of PASCAL VOC's and other data sets' masks: any viewer shows the classes' colours,
        and ``fastcv.images.read_labels`` gives the labels back.

        Raises:
            ValueError: a path that does not end in .png, or labels beyond 16 bits.
        """
        path = Path(path)
        if path.suffix.lower() != ".png":
            raise ValueError(
                f"path must end in .png, which keeps labels exactly, got {path.name!r}"
            )
        image = self.label_image()
        with replacing(path) as temporary:
            image.save(temporary)

    def to_dict(self) -> dict[str, Any]:
        """``file``, ``size`` as [height, width], and ``classes``, the commonest first.

        Each has ``label``, ``name``, ``pixels`` and ``share``. For the labels themselves, see
        ``save_labels``.
        """
        return {
            "file": self.source,
            "size": list(self.labels.shape),
            "classes": [
                {
                    "label": label,
                    "name": self.name_of(label),
                    "pixels": pixels,
                    "share": round(pixels / self.labels.numel(), 4),
                }
                for label, pixels in self._counts()
            ],
        }

    def _counts(self) -> list[tuple[int, int]]:
        """Each label that occurs and its pixels, the commonest first."""
        min_label = int(self.labels.min())
        if min_label < 0:
            raise ValueError(f"labels must be 0 or more, got {min_label}")
        counts = self.labels.flatten().bincount().tolist()
        there = [(label, pixels) for label, pixels in enumerate(counts) if pixels]
        return sorted(there, key=lambda pair: -pair[1])

    def _is_unlabelled(self, label: int) -> bool:
        return label == IGNORE >= len(self.classes)

    def _is_background(self, label: int) -> bool:
        return label == 0 and bool(self.classes) and self.classes[0].strip("_") == "background"
