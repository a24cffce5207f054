"""What every result can do that is of a picture, or can be drawn as one."""

from __future__ import annotations

import os
from abc import abstractmethod
from pathlib import Path

from PIL import Image

from fastcv._files import replacing
from fastcv.draw.typeface import FontPath
from fastcv.images import SUFFIXES, ImageInput, read_image
from fastcv.results._result import Result


class Drawable(Result):
    """What a model predicted of one picture."""

    image_size: tuple[int, int] | None = None
    """The picture's ``(height, width)``, where it is known; ``predict`` sets it."""

    @abstractmethod
    def draw(self, image: ImageInput | None = None, *, font: FontPath | None = None) -> Image.Image:
        """The finding on the picture.

        Args:
            image: the picture, in any form that ``read_image`` takes; None: the file it came from.
            font: of the names: a font file, or its name where the system has it; None: Pillow's
                own. Characters that it lacks come from other fonts.

        Raises:
            ValueError: there is no image and the result did not come from a file, or ``font`` is no
                font file.
        """

    def save(
        self,
        path: str | os.PathLike[str],
        image: ImageInput | None = None,
        *,
        font: FontPath | None = None,
    ) -> None:
        """Writes ``to_dict()`` to a ``.json``, or the drawing to an image file.

        Args:
            path: ``.json`` or an image's suffix.
            image: to draw on, as for ``draw``.
            font: of the names in a drawing, as for ``draw``.

        Raises:
            ValueError: another suffix, nothing to draw on, or ``font`` is no font file.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix == ".json":
            super().save(path)
        elif suffix in SUFFIXES:
            drawing = self.draw(image, font=font)
            with replacing(path) as temporary:
                drawing.save(temporary, quality=92)
        else:
            raise ValueError(f"path must end in .json or an image's suffix, got {path.name!r}")

    def _picture(self, image: ImageInput | None) -> Image.Image:
        if image is None:
            image = self.source
        if image is None:
            raise ValueError("image is needed: this result does not come from a file")
        pixels = read_image(image)
        if pixels.is_floating_point():
            pixels = (pixels.detach().float().clamp(0, 1) * 255).round().byte()
        return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())
