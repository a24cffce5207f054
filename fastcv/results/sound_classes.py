"""What is heard in a sound: objects, and the scene around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image

from fastcv.draw.canvas import Canvas
from fastcv.draw.typeface import FontPath
from fastcv.images import ImageInput
from fastcv.results._drawable import Drawable
from fastcv.results.classification import Classification
from fastcv.results.gallery import Gallery

PANEL = (448, 176)  # pixels of the bars of a head


@dataclass(repr=False, eq=False)
class SoundClasses(Drawable):
    """What the two heads of a SoundNet say of one sound.

    Args:
        objects: probabilities of things, averaged over time.
        scenes: probabilities of places, likewise.
        source: the sound's path, if it came from a file.

    Example:
        >>> import torch
        >>> from fastcv.results import Classification, SoundClasses
        >>> found = SoundClasses(
        ...     Classification(torch.tensor([0.25, 0.75]), ("bee", "dog")),
        ...     Classification(torch.tensor([0.625, 0.375]), ("park", "shop")),
        ... )
        >>> found
        SoundClasses(dog 0.75, bee 0.25; park 0.62, shop 0.38)
        >>> found.objects.top(1)
        [('dog', 0.75)]
    """

    objects: Classification
    scenes: Classification
    source: str | None = None

    @property
    def classes(self) -> tuple[str, ...]:  # type: ignore[override]  # the objects', not set
        """Names of objects by label."""
        return self.objects.classes

    def to(self, device: str | torch.device) -> SoundClasses:
        """The same with its tensors on ``device``."""
        return SoundClasses(self.objects.to(device), self.scenes.to(device), self.source)

    def __repr__(self) -> str:
        heads = (
            ", ".join(f"{name} {score:.2f}" for name, score in head.top(3))
            for head in (self.objects, self.scenes)
        )
        return f"SoundClasses({'; '.join(heads)})"

    def draw(self, image: ImageInput | None = None, *, font: FontPath | None = None) -> Image.Image:
        """The likeliest objects and scenes as bars, side by side.

        Args:
            image: a picture that belongs to the sound, such as a frame of its clip: both lie over
                it; None: over nothing.
            font: of the names: a font file, or its name where the system has it; None: Pillow's
                own. Characters that it lacks come from other fonts.

        Raises:
            ValueError: the picture cannot be read, or ``font`` is no font file.
        """
        ground = Image.new("RGB", PANEL, "white") if image is None else self._picture(image)
        panels = []
        for head in (self.objects, self.scenes):
            canvas = Canvas(ground, font)
            canvas.bars([(head.name_of(label), score, label) for label, score in head._top(5)])
            panels.append(canvas.finish())
        return Gallery(panels, ["objects", "scenes"], columns=2).draw(font=font)

    def to_dict(self) -> dict[str, Any]:
        """``file``, ``objects`` and ``scenes``, the five likeliest of each."""
        return {
            "file": self.source,
            "objects": self.objects.to_dict()["classes"],
            "scenes": self.scenes.to_dict()["classes"],
        }
