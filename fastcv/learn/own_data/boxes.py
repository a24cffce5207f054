"""Boxes of one's own: COCO's and VOC's layouts for detectors."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv.augment import Compose, Flip, RandomAffine
from fastcv.data import CocoDetection, VocDetection
from fastcv.data._image_set import image_names
from fastcv.learn.own_data._light import LIGHT
from fastcv.learn.own_data._pictures import Annotated, look, sentence
from fastcv.models import _task_data
from fastcv.results import Detections


def ways_to_augment(keypoint_order: list[int] | None = None) -> dict[str, Any]:
    """By name; ``keypoint_order`` as of ``augment.Flip``."""
    mirror = Flip(0.5, keypoint_order=keypoint_order)
    return {
        "flip": Compose(LIGHT, mirror),
        "none": None,
        "color": LIGHT,
        "strong": Compose(LIGHT, mirror, RandomAffine(10, 0.1, (0.7, 1.4))),
    }


AUGMENT = ways_to_augment()
KEPT = ("boxes", "labels", "iscrowd", "area", "image_id")
SLACK = 1.0  # pixels that a box may reach beyond its picture: annotation tools round

Objects = Sequence[tuple[Sequence[float], int]]
"""Of one picture: each box ``x1, y1, x2, y2`` in pixels, and its label."""


def coco(
    images: str,
    annotations: str,
    classes: Sequence[str] | None = None,
    *,
    masks: bool = False,
    keypoints: bool = False,
) -> Annotated:
    """Pictures and boxes in COCO's format.

    Args:
        images: the folder.
        annotations: the JSON file.
        classes: names that the labels must have; None: those of the file.
        masks: read those too.
        keypoints: those too; the result's ``config`` has their names.

    Raises:
        FileNotFoundError: no such folder or file, or a picture that is not there.
        ValueError: annotations that cannot be right, or none.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = CocoDetection(images, annotations, masks=masks, keypoints=keypoints)
        if classes is not None:
            _task_data.check_classes(classes, data.classes)
    objects = [
        [(instance["box"], instance["label"]) for instance in data.instances[image["id"]]]
        for image in data.images
    ]
    drawn_on = [image["size"] for image in data.images]
    told = [str(warning.message) for warning in caught]
    found = _annotated(data, classes or data.classes, objects, drawn_on, told)
    return replace(found, config={"keypoints": data.keypoint_names}) if keypoints else found


def voc(root: str, image_set: str, classes: Sequence[str] | None = None) -> Annotated:
    """Pictures and boxes in VOC's layout, of any classes.

    Args:
        root: the folder with ``JPEGImages``, ``Annotations`` and ``ImageSets/Main``.
        image_set: a name there, or a file of image names.
        classes: names that objects may have; None: those that they have, sorted.

    Raises:
        FileNotFoundError, ValueError: as of ``coco``.
    """
    names = _names(root, image_set) if classes is None else tuple(classes[1:])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = VocDetection(root, image_set, classes=names)
    objects = [[(box, label) for box, label, _ in boxes] for boxes in data.objects]
    told = [str(warning.message) for warning in caught]
    return _annotated(data, data.classes, objects, data.sizes, told)


def config(size: int | None, takes: Sequence[str]) -> dict[str, Any]:
    """What a builder is told for pictures of some size.

    Args:
        size: the shorter side that the model sees, or the side of a model of squares; None: its
            own.
        takes: the builder's keywords.

    Raises:
        ValueError: the model has one size.
    """
    if size is None:
        return {}
    if "min_size" in takes:
        return {"min_size": size, "max_size": math.ceil(size * 5 / 3)}
    if "size" in takes:
        return {"size": size}
    raise ValueError("size: this model sees pictures in one size only, leave it out")


def examples(model: Any, found: Annotated, augment: str, size: int | None) -> Examples:
    """What the model learns from; its own transform brings pictures to their size."""
    return Examples(found.data, augment)


def truth(image: Tensor, target: dict[str, Any], classes: Sequence[str]) -> Detections:
    """A target as a detector's result."""
    boxes = target["boxes"]
    size = (image.shape[1], image.shape[2])
    return Detections(boxes, torch.ones(len(boxes)), target["labels"], tuple(classes), size)


class Examples(Dataset[tuple[Tensor, dict[str, Any]]]):
    """Pictures and targets as ``fit`` gives them to a detector, changed anew each time.

    Args:
        data: items ``(image, target)``, and ``classes``.
        augment: a name of ``AUGMENT``.
        kept: the fields of a target that the model learns from.
        keypoint_order: of those keypoints that a mirror exchanges, as of ``augment.Flip``.
    """

    def __init__(
        self,
        data: Any,
        augment: str,
        kept: Sequence[str] = KEPT,
        keypoint_order: list[int] | None = None,
    ) -> None:
        self.data, self.classes, self.kept = data, data.classes, kept
        self.augment = ways_to_augment(keypoint_order)[augment]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        image, target = self.data[index]
        target = {key: target[key] for key in self.kept}
        if self.augment is not None:
            images, targets = self.augment(image[None], [target])
            image, target = images[0], targets[0]
        return image, target


def _annotated(
    data: Any,
    classes: Sequence[str],
    objects: Sequence[Objects],
    drawn_on: Sequence[tuple[int, int] | None],
    told: Sequence[str],
) -> Annotated:
    """Checks the boxes.

    Args:
        drawn_on: height and width of the pictures as the boxes have them, where they are given: a
            picture that EXIF turns may have boxes of its stored pixels.
    """
    labels = [[label for _, label in of_one] for of_one in objects]
    found = look(Annotated(data, tuple(classes), data.files, labels, background=True))
    sides = [max(box[2] - box[0], box[3] - box[1]) for of_one in objects for box, _ in of_one]
    if max(sides) <= 1 < max(max(size) for size in found.sizes) / 16:
        raise ValueError(
            "no box is larger than one pixel: these look like shares of the picture's width and "
            "height, and must be pixels"
        )
    return replace(
        found, suspicious=[*told, *found.suspicious, *_suspicious(found, objects, drawn_on)]
    )


def _suspicious(
    found: Annotated, objects: Sequence[Objects], drawn_on: Sequence[tuple[int, int] | None]
) -> list[str]:
    """What a person should look at: boxes that are hardly right."""
    outside: list[str] = []
    tiny: list[str] = []
    whole: list[str] = []
    twice: list[str] = []
    both: list[str] = []
    for path, size, drawn_size, of_one in zip(
        found.files, found.sizes, drawn_on, objects, strict=True
    ):
        width, height = size if drawn_size is None else drawn_size[::-1]
        seen: dict[tuple[float, ...], int] = {}
        for number, (box, label) in enumerate(of_one, start=1):
            x1, y1, x2, y2 = box
            place = f"{path.name} (box {number})"
            if min(x1, y1) < -SLACK or x2 > width + SLACK or y2 > height + SLACK:
                outside.append(place)
            if min(x2 - x1, y2 - y1) < 2:
                tiny.append(place)
            if (x2 - x1) * (y2 - y1) >= 0.98 * width * height:
                whole.append(place)
            corners = tuple(box)
            if corners in seen:
                (twice if seen[corners] == label else both).append(place)
            seen.setdefault(corners, label)
    return [
        *sentence("box reaches", "boxes reach", outside, "outside the picture"),
        *sentence("box is", "boxes are", tiny, "under 2 pixels wide or high"),
        *sentence("box covers", "boxes cover", whole, "the whole picture"),
        *sentence("box is there", "boxes are there", twice, "twice with the same class"),
        *sentence("box is there", "boxes are there", both, "with two classes"),
    ]


def _names(root: str, image_set: str) -> tuple[str, ...]:
    """The names of all objects, sorted. What is wrong with a file, ``VocDetection`` tells."""
    path = Path(image_set)
    if path.suffix != ".txt":
        path = Path(root) / "ImageSets" / "Main" / f"{path}.txt"
    if not path.is_file():
        raise FileNotFoundError(f"there is no image set {path}")
    folder = Path(root) / "Annotations"
    names: set[str] = set()
    for name in image_names(path, lambda name: (folder / f"{name}.xml").is_file()):
        with suppress(OSError, ElementTree.ParseError, ValueError, LookupError):
            tree = ElementTree.parse(folder / f"{name}.xml")
            names |= {(o.findtext("name") or "").strip() for o in tree.getroot().findall("object")}
    return tuple(sorted(names - {""}))
