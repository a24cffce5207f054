"""Every pixel of a picture: the class it is of, and which object."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from fastcv.classes import IGNORE
from fastcv.draw.canvas import Canvas, color_of
from fastcv.draw.segments import VOID, hatch, shade_of
from fastcv.draw.typeface import Color, FontPath
from fastcv.images import ImageInput
from fastcv.results._drawable import Drawable
from fastcv.results._panoptic_files import read_segments, write_segments
from fastcv.results._segment_map import areas_of, check_known, check_map
from fastcv.results.instances import Instances

MAX_PLATES = 50  # with names: more would hide the picture


@dataclass(frozen=True)
class Segment:
    """One object, or all that a picture has of one stuff.

    Args:
        id: above 0, its own in the picture; in a video the same from frame to frame.
        label: of its class.
        score: in [0, 1], where a model gave one.
        is_thing: whether it is an object that can be counted, not stuff such as grass.
        area: in pixels.
        is_crowd: whether it is several objects that nobody told apart. Only ground truth has such.
    """

    id: int
    label: int
    score: float | None
    is_thing: bool
    area: int
    is_crowd: bool = False


@dataclass(repr=False, eq=False)
class Panoptic(Drawable):
    """A segment for each pixel of one picture: an object, a stuff, or void.

    ``Panoptic.from_map`` works out the segments; this form takes all of them as they are.

    Args:
        segment_map: ``[H, W]`` int32, the ids of segments; 0 is void, no segment.
        segments: what has the ids that occur. In a video an object's id stays the same.
        classes: names by label.
        things: the labels of classes that are things; the others are stuff.
        source: the picture's path, if it came from a file.

    Raises:
        ValueError: a map of another shape, a negative id, two segments with one id, an id that no
            segment has, or a segment whose ``area`` or ``is_thing`` is not so.
        TypeError: a map of another dtype.

    Example:
        >>> import torch
        >>> from fastcv.results import Panoptic
        >>> ids = torch.tensor([[1, 1, 7], [1, 8, 8], [0, 8, 8]], dtype=torch.int32)
        >>> found = Panoptic.from_map(
        ...     ids, {1: 0, 7: 1, 8: 1}, ("grass", "cat"), things=(1,), scores={7: 0.9, 8: 0.75}
        ... )
        >>> found
        Panoptic(3x3: 2 cat, grass, void 11.1 %)
        >>> found.segments[2]
        Segment(id=8, label=1, score=0.75, is_thing=True, area=4, is_crowd=False)
        >>> found.semantic
        tensor([[  0,   0,   1],
                [  0,   1,   1],
                [255,   1,   1]])
    """

    segment_map: Tensor
    segments: tuple[Segment, ...]
    classes: tuple[str, ...]
    things: tuple[int, ...]
    source: str | None = None

    def __post_init__(self) -> None:
        check_map(self.segment_map)
        areas = areas_of(self.segment_map)
        counts = Counter(segment.id for segment in self.segments)
        for id, number in counts.items():
            if id < 1:
                raise ValueError(f"ids of segments must be above 0, which is void, got {id}")
            if number > 1:
                raise ValueError(f"{number} segments have the id {id}")
        check_known(areas, counts)
        for segment in self.segments:
            if segment.label < 0:
                raise ValueError(f"labels must be 0 or more, segment {segment.id} has another")
            if segment.is_thing != (segment.label in self.things):
                name = self.name_of(segment.label)
                raise ValueError(
                    f"segment {segment.id} has is_thing={segment.is_thing}, and in things "
                    f"{name!r} is {'' if segment.label in self.things else 'not '}there"
                )
            if segment.area != areas.get(segment.id, 0) or not segment.area:
                raise ValueError(
                    f"segment {segment.id} has an area of {segment.area}, and "
                    f"{areas.get(segment.id, 0)} pixels of the map"
                )

    @classmethod
    def from_map(
        cls,
        segment_map: Tensor,
        labels: Mapping[int, int],
        classes: Sequence[str],
        things: Collection[int],
        *,
        scores: Mapping[int, float] | None = None,
        crowds: Collection[int] = (),
        source: str | None = None,
    ) -> Panoptic:
        """Segments out of a map of ids: their areas are counted.

        Args:
            segment_map: ``[H, W]`` int32, the ids of segments; 0 is void.
            labels: by id. Ids without a pixel are left out.
            classes: names by label.
            things: the labels of classes that are things.
            scores: by id, where a model gave one.
            crowds: ids of segments that are crowds.
            source: the picture's path, if it came from a file.

        Raises:
            ValueError, TypeError: as for ``Panoptic``.
        """
        check_map(segment_map)
        areas, scores = areas_of(segment_map), scores or {}
        check_known(areas, labels)
        segments = tuple(
            Segment(id, label, scores.get(id), label in things, areas[id], id in crowds)
            for id, label in labels.items()
            if id in areas
        )
        return cls(segment_map, segments, tuple(classes), tuple(things), source)

    @property
    def image_size(self) -> tuple[int, int]:  # type: ignore[override]  # what is known is not set
        """The picture's ``(height, width)``."""
        return (self.segment_map.shape[0], self.segment_map.shape[1])

    @property
    def void(self) -> Tensor:
        """``[H, W]`` bool, the pixels of no segment."""
        return self.segment_map == 0

    @property
    def semantic(self) -> Tensor:
        """``[H, W]`` int64, the label of each pixel; 255 where it is void.

        Raises:
            ValueError: a class has the label 255, and there is void.
        """
        labels = torch.tensor([IGNORE, *(segment.label for segment in self.segments)])
        if (labels[1:] == IGNORE).any() and self.void.any():
            raise ValueError(f"void pixels would get the label {IGNORE}, which a class has")
        return labels[self._numbers()]

    def masks(self) -> Tensor:
        """``[N, H, W]`` bool: which pixels each of the segments has."""
        ids = torch.tensor([segment.id for segment in self.segments], dtype=torch.int32)
        return self.segment_map.cpu() == ids[:, None, None]

    def boxes(self) -> Tensor:
        """``[N, 4]`` int64 of the segments, xyxy in pixels; x2 and y2 are behind the last one."""
        height, width = self.image_size
        numbers = self._numbers().flatten()
        count = len(self.segments) + 1
        y = torch.arange(height).repeat_interleave(width)
        x = torch.arange(width).repeat(height)
        sides = []
        for values, reduce in ((x, "amin"), (y, "amin"), (x + 1, "amax"), (y + 1, "amax")):
            start = torch.zeros(count, dtype=torch.int64)
            sides.append(start.scatter_reduce(0, numbers, values, reduce, include_self=False)[1:])
        return torch.stack(sides, dim=1)

    def instances(self) -> Instances:
        """The things, the surest first, as boxes with masks; a score of 1 where there is none."""
        order = sorted(
            (i for i, segment in enumerate(self.segments) if segment.is_thing),
            key=lambda i: -self._score(i),
        )
        ids = torch.tensor([self.segments[i].id for i in order], dtype=torch.int32)
        return Instances(
            self.boxes()[order].float(),
            torch.tensor([self._score(i) for i in order]),
            torch.tensor([self.segments[i].label for i in order], dtype=torch.int64),
            self.classes,
            self.image_size,
            self.source,
            masks=self.segment_map.cpu() == ids[:, None, None],
        )

    def color_of(self, segment: Segment) -> Color:
        """Its colour in drawings: things of a class have shades of one hue, by their ids."""
        return (shade_of if segment.is_thing else _plain_color)(segment.label, segment.id)

    def __repr__(self) -> str:
        counts = Counter(segment.label for segment in self.segments)
        kinds = [
            f"{number} {self.name_of(label)}" if label in self.things else self.name_of(label)
            for label, number in counts.most_common(5)
        ]
        if len(counts) > 5:
            kinds.append(f"{len(counts) - 5} more classes")
        if share := float(self.void.float().mean()):
            kinds.append(f"void {100 * share:.1f} %")
        height, width = self.image_size
        return f"Panoptic({height}x{width}: {', '.join(kinds)})"

    def draw(
        self,
        image: ImageInput | None = None,
        *,
        legend: bool = True,
        font: FontPath | None = None,
    ) -> Image.Image:
        """The picture under the segments' colours, with their borders, and void striped.

        A class has one hue, and its things have shades of it. The 50 largest things have name
        plates. Tiny pictures are enlarged.

        Args:
            image: the picture, in any form that ``read_image`` takes; None: the file it came from.
            font: of the names: a font file, or its name where the system has it; None: Pillow's
                own. Characters that it lacks come from other fonts.
            legend: add the classes that occur, and void, below the picture.

        Raises:
            ValueError: no picture, one of another size than the map, or a font that is no font
                file.
        """
        picture = self._picture(image)
        height, width = self.image_size
        if picture.size != (width, height):
            raise ValueError(
                f"image must be {height}x{width}, the size of the map, got "
                f"{picture.height}x{picture.width}"
            )
        canvas = Canvas(picture, font)
        colors = {i + 1: self.color_of(segment) for i, segment in enumerate(self.segments)}
        canvas.regions(self._numbers(), colors)
        hatch(canvas, self.void.cpu())
        boxes = self.boxes().tolist()
        things = [i for i, segment in enumerate(self.segments) if segment.is_thing]
        for i in sorted(things, key=lambda i: -self.segments[i].area)[:MAX_PLATES]:
            segment = self.segments[i]
            score = "" if segment.score is None else f"  {segment.score:.2f}"
            canvas.tag(boxes[i], segment.label, self.name_of(segment.label) + score)
        if legend:
            canvas.legend(self._legend())
        return canvas.finish()

    def save_segments(self, path: str | os.PathLike[str]) -> None:
        """A PNG of ids and beside it a JSON of what they are, in COCO's panoptic format.

        An id is R + 256 G + 65536 B. ``Panoptic.load`` reads both; ``save`` writes the drawing.

        Args:
            path: of the PNG. The JSON has its name, with ``.json``.

        Raises:
            ValueError: a path that does not end in .png, or an id beyond 24 bits.

        Source: https://cocodataset.org/#format-data

        Example:
            >>> import pathlib, tempfile, torch
            >>> from fastcv.results import Panoptic
            >>> path = pathlib.Path(tempfile.mkdtemp(), "a.png")
            >>> ids = torch.tensor([[0, 70000]], dtype=torch.int32)
            >>> Panoptic.from_map(ids, {70000: 1}, ("grass", "cat"), (1,)).save_segments(path)
            >>> Panoptic.load(path)
            Panoptic(1x2: 1 cat, void 50.0 %)
        """
        write_segments(self, Path(path))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Panoptic:
        """What ``save_segments`` wrote, or another PNG of ids with such a JSON beside it.

        Args:
            path: of the PNG.

        Raises:
            FileNotFoundError: no PNG, or no JSON beside it.
            ValueError: a PNG that is not RGB, a JSON that lacks something, or an id of the PNG that
                is not in the JSON.
        """
        path = Path(path)
        ids, rows, classes, things = read_segments(path)
        try:
            return from_segments_info(ids, rows, classes, things)
        except ValueError as error:
            raise ValueError(f"{path} and {path.with_suffix('.json').name}: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """``file``, ``size`` as [height, width], ``void`` in pixels, and ``segments``, a list.

        Each has ``id``, ``label``, ``name``, ``score`` (None without one), ``is_thing`` and
        ``area``. For the map itself, see ``save_segments``.
        """
        return {
            "file": self.source,
            "size": list(self.image_size),
            "void": int(self.void.sum()),
            "segments": [
                {
                    "id": segment.id,
                    "label": segment.label,
                    "name": self.name_of(segment.label),
                    "score": None if segment.score is None else round(segment.score, 4),
                    "is_thing": segment.is_thing,
                    "area": segment.area,
                }
                for segment in self.segments
            ],
        }

    def _numbers(self) -> Tensor:
        """``[H, W]`` int64: the place of a pixel's segment in ``segments``, from 1; 0 is void."""
        ids = torch.tensor([0, *(segment.id for segment in self.segments)], dtype=torch.int32)
        ordered, places = ids.sort()
        return places[torch.searchsorted(ordered, self.segment_map.cpu().contiguous())]

    def _score(self, index: int) -> float:
        score = self.segments[index].score
        return 1.0 if score is None else score

    def _legend(self) -> list[tuple[str, Color]]:
        """The classes by the area that they have, and void."""
        areas: Counter[int] = Counter()
        for segment in self.segments:
            areas[segment.label] += segment.area
        entries = [(self.name_of(label), color_of(label)) for label, _ in areas.most_common()]
        return [*entries, ("void", VOID)] if self.void.any() else entries


def from_segments_info(
    segment_map: Tensor,
    rows: Sequence[dict[str, Any]],
    classes: Sequence[str],
    things: Collection[int],
    source: str | None = None,
) -> Panoptic:
    """A map of ids with COCO's rows of what they are. Areas are counted, not read.

    Raises:
        ValueError: rows and map that do not fit.
    """
    labels = {row["id"]: row["category_id"] for row in rows}
    if len(labels) < len(rows):
        (id, number), *_ = Counter(row["id"] for row in rows).most_common(1)
        raise ValueError(f"{number} segments have the id {id}")
    for id, label in labels.items():
        if not 0 <= label < len(classes):
            raise ValueError(f"segment {id} has the category_id {label}, which no category has")
    return Panoptic.from_map(
        segment_map,
        labels,
        classes,
        things,
        scores={row["id"]: float(row["score"]) for row in rows if row.get("score") is not None},
        crowds={row["id"] for row in rows if row.get("iscrowd")},
        source=source,
    )


def _plain_color(label: int, _: int) -> Color:
    return color_of(label)
