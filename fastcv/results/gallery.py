"""Pictures in a grid, each with a caption."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from fastcv.draw.canvas import Canvas
from fastcv.draw.contact_sheet import contact_sheet
from fastcv.draw.typeface import FontPath
from fastcv.images import ImageInput
from fastcv.results._drawable import Drawable

PLATE = (40, 40, 40)


@dataclass(repr=False, eq=False)
class Gallery(Drawable):
    """A grid of pictures with captions, such as the maps of a layer or of several methods.

    Args:
        pictures: of any sizes; each is brought to the first one's, its proportions kept.
        captions: one for each, possibly empty.
        columns: pictures in a row.
        title: in ``repr`` and JSON.

    Raises:
        ValueError: no pictures, another number of captions, or no column.

    Example:
        >>> from PIL import Image
        >>> from fastcv.results import Gallery
        >>> pictures = [Image.new("RGB", (320, 200), colour) for colour in ("red", "green", "blue")]
        >>> gallery = Gallery(pictures, ["red", "green", "blue"], columns=2)
        >>> gallery
        Gallery(3 pictures)
        >>> gallery.draw().size
        (664, 464)
    """

    pictures: Sequence[Image.Image]
    captions: Sequence[str]
    columns: int = 4
    title: str = ""
    source: str | None = None
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.pictures:
            raise ValueError("pictures must have at least one, got none")
        if len(self.captions) != len(self.pictures):
            raise ValueError(
                f"captions must be {len(self.pictures)}, one for each picture, got "
                f"{len(self.captions)}"
            )
        if self.columns < 1:
            raise ValueError(f"columns must be at least 1, got {self.columns}")

    def __len__(self) -> int:
        return len(self.pictures)

    def __repr__(self) -> str:
        title = f"{self.title}, " if self.title else ""
        return f"{type(self).__name__}({title}{len(self)} picture{'s' * (len(self) != 1)})"

    def draw(self, image: ImageInput | None = None, *, font: FontPath | None = None) -> Image.Image:
        """The grid; it has its own pictures, so ``image`` must be None.

        Args:
            image: None.
            font: of the captions, as in ``Detections.draw``.

        Raises:
            ValueError: an image.
        """
        if image is not None:
            raise ValueError("image must be None: a gallery has its own pictures")
        size = self.pictures[0].size
        with_captions = any(self.captions)
        tiles = []
        for picture, caption in zip(self.pictures, self.captions, strict=True):
            canvas = Canvas(_fitted(picture, size), font)
            if with_captions:
                canvas.legend([(caption or " ", PLATE)])
            tiles.append(canvas.finish())
        return contact_sheet(tiles, self.columns)

    def to_dict(self) -> dict[str, Any]:
        """``file``, ``title`` and ``captions``."""
        return {"file": self.source, "title": self.title, "captions": list(self.captions)}


def _fitted(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """In the middle of white, as large as ``size`` allows."""
    picture = picture.convert("RGB")
    if picture.size == size:
        return picture
    scale = min(size[0] / picture.width, size[1] / picture.height)
    width, height = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    # A tiny map enlarged keeps its cells apart.
    how = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    sheet = Image.new("RGB", size, "white")
    sheet.paste(
        picture.resize((width, height), how), ((size[0] - width) // 2, (size[1] - height) // 2)
    )
    return sheet
