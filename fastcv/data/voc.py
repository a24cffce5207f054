"""Detection datasets in the layout of PASCAL VOC: an XML file for each image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv.classes import class_names
from fastcv.data._image import read


class VocDetection(Dataset[tuple[Tensor, dict[str, Any]]]):
    """Images and their boxes from ``JPEGImages``, ``Annotations`` and ``ImageSets/Main``.

    An item is ``(image, target)``: ``[3, H, W]`` float32 in [0, 1], and a dict of ``boxes``
    ``[N, 4]`` (xyxy), ``labels`` ``[N]`` int64 from 1, ``difficult`` and ``iscrowd`` ``[N]`` bool,
    ``area`` ``[N]`` (of the boxes), ``image_id`` (the index). ``iscrowd`` equals ``difficult``, so
    that training and COCO's metrics leave difficult objects out as VOC's own metric does. The
    files count pixels from 1 and include the last; here ``xmin ymin xmax ymax`` is
    ``(xmin - 1, ymin - 1, xmax, ymax)``.

    Args:
        root: the folder of one year, such as ``VOCdevkit/VOC2007``.
        image_set: a name in ``ImageSets/Main`` such as ``"trainval"``, or a file of image names.
        classes: the names that labels 1, 2, ... stand for; by default VOC's twenty.

    Raises:
        FileNotFoundError: no such folder, image set, annotation, or (on access) image.
        ValueError: an annotation is malformed or names another class; an image is broken.

    Source: Everingham et al., "The PASCAL Visual Object Classes Challenge" (2010).

    Example:
        >>> from fastcv.data import VocDetection
        >>> VocDetection("VOCdevkit/VOC2007", "trainval")
        Traceback (most recent call last):
        ...
        FileNotFoundError: there is no image set VOCdevkit/VOC2007/ImageSets/Main/trainval.txt
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        image_set: str | os.PathLike[str],
        *,
        classes: Sequence[str] | None = None,
    ) -> None:
        self.root = Path(root)
        self.classes = class_names("voc") if classes is None else ("background", *classes)
        path = Path(image_set)
        if path.suffix != ".txt":
            path = self.root / "ImageSets" / "Main" / f"{path}.txt"
        if not path.is_file():
            raise FileNotFoundError(f"there is no image set {path}")
        # Image sets of one class have a second column, whether the image shows it.
        lines = path.read_text(encoding="utf-8").splitlines()
        self.names = [line.split()[0] for line in lines if line.strip()]
        self.objects = [self._objects(name) for name in self.names]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        index = range(len(self))[index]
        image = read(self.root / "JPEGImages" / f"{self.names[index]}.jpg")
        objects = self.objects[index]
        boxes = torch.tensor([box for box, _, _ in objects], dtype=torch.float32).reshape(-1, 4)
        difficult = torch.tensor([hard for _, _, hard in objects], dtype=torch.bool)
        width, height = (boxes[:, 2:] - boxes[:, :2]).unbind(1)
        return image, {
            "boxes": boxes,
            "labels": torch.tensor([label for _, label, _ in objects], dtype=torch.int64),
            "difficult": difficult,
            "iscrowd": difficult.clone(),
            "area": width * height,
            "image_id": index,
        }

    def _objects(self, name: str) -> list[tuple[list[float], int, bool]]:
        """Of each object its box, label and whether it is difficult."""
        path = self.root / "Annotations" / f"{name}.xml"
        try:
            tree = ElementTree.parse(path)
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no annotation {path}") from None
        except ElementTree.ParseError as error:
            raise ValueError(f"{path} is not XML: {error}") from error
        return [
            self._object(element, f"{path}: object {number}")
            for number, element in enumerate(tree.getroot().findall("object"), start=1)
        ]

    def _object(self, element: ElementTree.Element, where: str) -> tuple[list[float], int, bool]:
        name = (element.findtext("name") or "").strip()
        if name not in self.classes[1:]:
            raise ValueError(f"{where} has the name {name!r}, which is not in classes")
        tags = [f"bndbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax")]
        try:
            x1, y1, x2, y2 = (float(element.findtext(tag) or "") for tag in tags)
        except ValueError:
            raise ValueError(f"{where} must have four numbers in bndbox") from None
        if x2 < x1 or y2 < y1:
            raise ValueError(f"{where} has xmax < xmin or ymax < ymin")
        difficult = (element.findtext("difficult") or "0").strip() == "1"
        return [x1 - 1, y1 - 1, x2, y2], self.classes.index(name), difficult
