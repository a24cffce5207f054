"""Annotations on a picture that its EXIF orientation turns: in which of the two frames they are."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from fastcv.images import read_upright

FLIPS = {5: (False, False), 6: (True, False), 7: (True, True), 8: (False, True)}
"""By EXIF orientation: x and y are swapped, then mirrored left to right, top to bottom."""


@dataclass(frozen=True)
class Frame:
    """How what lies on a file's stored pixels comes to lie on the picture as it is seen.

    Args:
        orientation: EXIF's, 5 to 8, or 1 where nothing is to be moved.
        height: of the picture as it is seen.
        width: likewise.
    """

    orientation: int
    height: int
    width: int

    @property
    def stored_size(self) -> tuple[int, int]:
        """Height and width of what annotations are drawn on."""
        turned = self.orientation in FLIPS
        return (self.width, self.height) if turned else (self.height, self.width)

    def points(self, points: Tensor) -> Tensor:
        """``[..., 2]``, (x, y)."""
        if self.orientation not in FLIPS:
            return points
        mirror_x, mirror_y = FLIPS[self.orientation]
        moved = points.flip(-1)
        if mirror_x:
            moved[..., 0] = self.width - moved[..., 0]
        if mirror_y:
            moved[..., 1] = self.height - moved[..., 1]
        return moved

    def boxes(self, boxes: Tensor) -> Tensor:
        """``[N, 4]``, (x1, y1, x2, y2)."""
        corners = self.points(boxes.reshape(-1, 2, 2))
        return corners.sort(dim=1).values.reshape(-1, 4)

    def masks(self, masks: Tensor) -> Tensor:
        """``[..., H, W]``."""
        if self.orientation not in FLIPS:
            return masks
        mirror_x, mirror_y = FLIPS[self.orientation]
        axes = [axis for axis, mirror in ((-1, mirror_x), (-2, mirror_y)) if mirror]
        return masks.transpose(-1, -2).flip(axes)


class AnnotatedPictures:
    """Reads pictures that have annotations, and says once what makes their frame doubtful."""

    def __init__(self) -> None:
        self.told: set[str] = set()

    def read(self, path: Path, annotated_size: tuple[int, int] | None) -> tuple[Tensor, Frame]:
        """A picture upright, ``[3, H, W]`` in [0, 1], and the frame of its annotations.

        Args:
            path: of the picture.
            annotated_size: the height and width that the annotations give; None: they do not.
        """
        pixels, orientation = read_upright(path)
        height, width = pixels.shape[1:]
        swaps = orientation in FLIPS and height != width
        if orientation != 1 and not (swaps and annotated_size):
            self.tell(
                "turn",
                f"{path} is turned by its EXIF orientation {orientation}, and its annotations do "
                "not say of which frame they are: they are taken to be of the turned picture",
            )
        stored = swaps and annotated_size == (width, height)
        return pixels.float() / 255, Frame(orientation if stored else 1, height, width)

    def check_size(self, path: Path, frame: Frame, annotated_size: tuple[int, int] | None) -> None:
        """Warns where annotations are of a picture of another size."""
        if annotated_size is not None and annotated_size != frame.stored_size:
            sizes = [f"{height} x {width}" for height, width in (frame.stored_size, annotated_size)]
            self.tell(
                "size",
                f"{path} is {sizes[0]}, and its annotations are of a picture of {sizes[1]}: they "
                "may lie beside what they are of",
            )

    def tell(self, what: str, sentence: str) -> None:
        """A warning, the first time that it is of ``what``."""
        if what not in self.told:
            self.told.add(what)
            warnings.warn(sentence, stacklevel=4)
