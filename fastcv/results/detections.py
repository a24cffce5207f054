"""Boxes with classes and scores."""

from __future__ import annotations

import math
import warnings
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

from PIL import Image
from torch import Tensor

from fastcv._json import plain
from fastcv.draw.canvas import Canvas
from fastcv.draw.typeface import FontPath
from fastcv.images import ImageInput
from fastcv.results._drawable import Drawable

if TYPE_CHECKING:
    import torch

Kind = TypeVar("Kind", bound="Detections")


@dataclass(repr=False, eq=False)
class Detections(Drawable):
    """What a detector found in one picture, the surest first.

    Args:
        boxes: ``[N, 4]`` as ``(x1, y1, x2, y2)`` in pixels of the picture.
        scores: ``[N]`` in [0, 1].
        labels: ``[N]`` int64, indices into ``classes``.
        classes: names by label.
        image_size: the picture's ``(height, width)``.
        source: the picture's path, if it came from a file.
        fields: what else is known of each box, by name: tensors of N rows, as the branches of a
            detector's RoI heads give them. ``id`` ``[N]`` int64 says which object of a clip it is;
            then drawings have a colour for each object, not for each class.

    Raises:
        ValueError: tensors that do not have a row for each box.

    Example:
        >>> import torch
        >>> from fastcv.results import Detections
        >>> boxes = torch.tensor([[10.0, 20.0, 110.0, 220.0], [5.0, 5.0, 50.0, 60.0]])
        >>> found = Detections(
        ...     boxes, torch.tensor([0.98, 0.71]), torch.tensor([1, 2]),
        ...     classes=("background", "cat", "dog"), image_size=(480, 640),
        ... )
        >>> found
        Detections(2 boxes in 480x640: 1 cat 0.98, 1 dog 0.71)
        >>> found[found.scores > 0.9]
        Detections(1 box in 480x640: 1 cat 0.98)
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    classes: tuple[str, ...]
    image_size: tuple[int, int]
    source: str | None = None
    fields: dict[str, Tensor] = field(default_factory=dict, kw_only=True)

    def __post_init__(self) -> None:
        if self.boxes.ndim != 2 or self.boxes.shape[1] != 4:
            raise ValueError(f"boxes must be [N, 4], got {list(self.boxes.shape)}")
        n = len(self.boxes)
        for name in ("scores", "labels"):
            shape = list(getattr(self, name).shape)
            if shape != [n]:
                raise ValueError(f"{name} must be [{n}], one for each box, got {shape}")
        for name, value in self.fields.items():
            if value.ndim == 0 or len(value) != n:
                raise ValueError(
                    f"the field {name!r} must have {n} rows, one for each box, got "
                    f"{list(value.shape)}"
                )

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self: Kind, index: Any) -> Kind:
        """Those that a mask, index, slice or tensor of indices picks."""
        if isinstance(index, int):
            if not -len(self) <= index < len(self):
                raise IndexError(f"index {index} is out of range for {len(self)} boxes")
            index = [index]
        boxes, scores, labels = self.boxes[index], self.scores[index], self.labels[index]
        fields = {name: value[index] for name, value in self.fields.items()}
        more = self._picked(index)
        return replace(self, boxes=boxes, scores=scores, labels=labels, fields=fields, **more)

    def _picked(self, index: Any) -> dict[str, Any]:
        """What a subclass has more of each box."""
        return {}

    def to(self: Kind, device: str | torch.device) -> Kind:
        """The same with its tensors on ``device``; ``predict`` leaves them on the model's."""
        moved = super().to(device)
        moved.fields = {name: value.to(device) for name, value in self.fields.items()}
        return moved

    def __repr__(self) -> str:
        height, width = self.image_size
        counts = Counter(self.labels.tolist())
        best: dict[int, float] = {}
        for label, score in zip(self.labels.tolist(), self.scores.tolist(), strict=True):
            best[label] = max(score, best.get(label, score))
        kinds = [f"{n} {self.name_of(k)} {best[k]:.2f}" for k, n in counts.most_common(5)]
        more = [f"{len(counts) - 5} more classes"] if len(counts) > 5 else []
        what = f"{len(self)} box{'es' if len(self) != 1 else ''} in {height}x{width}"
        summary = ": ".join([what, ", ".join(kinds + more)] if kinds else [what])
        return f"{type(self).__name__}({summary})"

    def draw(self, image: ImageInput | None = None, *, font: FontPath | None = None) -> Image.Image:
        """The picture with each box, its name and its score; tiny pictures are enlarged.

        A box with a coordinate that is NaN has no place: it is left out, with a warning.

        Args:
            image: the picture, in any form that ``read_image`` takes; None: the file it came from.
            font: of the names: a font file, or its name where the system has it; None: Pillow's
                own. Characters that it lacks come from other fonts.

        Raises:
            ValueError: no picture, one of another size than ``image_size``, or a font that is no
                font file.
        """
        canvas = Canvas(self._own_picture(image), font)
        order = self.scores.argsort(descending=True).tolist()
        self._draw_under(canvas, order)
        boxes, colors = self.boxes.tolist(), self._color_numbers()
        placed = [i for i in order if not any(map(math.isnan, boxes[i]))]
        if len(placed) < len(order):
            _warn(f"{len(order) - len(placed)} of {len(order)} boxes are NaN and not drawn")
        for i in reversed(placed):  # the surest last, on top
            canvas.box(boxes[i], colors[i])
        for i in placed:  # the surest first, at the best place
            canvas.tag(boxes[i], colors[i], self._plate(i))
        return canvas.finish()

    def _color_numbers(self) -> list[int]:
        """What each box's colour goes by: the object in a clip, else the class."""
        numbers: list[int] = self.fields.get("id", self.labels).tolist()
        return numbers

    def _plate(self, i: int) -> str:
        """A box's name and score, and in a clip the number of its object."""
        number = f" #{int(self.fields['id'][i])}" if "id" in self.fields else ""
        return f"{self.name_of(int(self.labels[i]))}{number}  {float(self.scores[i]):.2f}"

    def _own_picture(self, image: ImageInput | None) -> Image.Image:
        """The picture to draw on, which must be of the size that the boxes belong to."""
        picture = self._picture(image)
        if picture.size != self.image_size[::-1]:
            height, width = self.image_size
            raise ValueError(
                f"image must be {height}x{width}, the size these boxes belong to, got "
                f"{picture.height}x{picture.width}"
            )
        return picture

    def _draw_under(self, canvas: Canvas, order: list[int]) -> None:
        """What a subclass draws before the boxes; ``order``: of the boxes, the surest first."""

    def to_dict(self) -> dict[str, Any]:
        """``file``, ``size`` as [height, width], and ``detections``, a list, with their fields.

        Scores and coordinates that are NaN or infinite are None.
        """
        rows = zip(self.labels.tolist(), self.scores.tolist(), self.boxes.tolist(), strict=True)
        found: dict[str, Any] = {
            "file": self.source,
            "size": list(self.image_size),
            "detections": [
                {
                    "label": label,
                    "name": self.name_of(label),
                    "score": round(score, 4),
                    "box": [round(x, 2) for x in box],
                }
                for label, score, box in rows
            ],
        }
        for name, value in self.fields.items():
            for row, own in zip(found["detections"], value.tolist(), strict=True):
                row[name] = own
        return plain(found)

    def to_coco(self, image_id: int) -> list[dict[str, Any]]:
        """Rows of a COCO results file: ``category_id`` is the label, ``bbox`` is xywh.

        Boxes with a NaN or an infinity, which such a file cannot have, are left out with a warning.
        """
        finite = self.boxes.isfinite().all(dim=1) & self.scores.isfinite()
        if left_out := len(self) - int(finite.sum()):
            _warn(
                f"image {image_id}: {left_out} of {len(self)} boxes or scores are NaN or infinite "
                "and not among COCO's results"
            )
        kept = self[finite]
        columns = (values.tolist() for values in (kept.labels, kept.scores, kept.boxes))
        return [
            {
                "image_id": image_id,
                "category_id": label,
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": score,
                **more,
            }
            for label, score, (x1, y1, x2, y2), more in zip(
                *columns, kept._coco_rows(), strict=True
            )
        ]

    def _coco_rows(self) -> list[dict[str, Any]]:
        """What a subclass has more in each row of a COCO results file."""
        return [{} for _ in range(len(self))]


def _warn(what: str) -> None:
    warnings.warn(f"{what}; a model finds such where training has diverged", stacklevel=3)
