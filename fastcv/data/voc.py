"""Detection datasets in the layout of PASCAL VOC: an XML file for each image."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv.classes import class_names
from fastcv.data._frame import AnnotatedPictures
from fastcv.data._image_set import NamedPictures, image_names


class VocDetection(Dataset[tuple[Tensor, dict[str, Any]]]):
    """Images and their boxes from ``JPEGImages``, ``Annotations`` and ``ImageSets/Main``.

    An item is ``(image, target)``: ``[3, H, W]`` float32 in [0, 1], and a dict of ``boxes``
    ``[N, 4]`` (xyxy), ``labels`` ``[N]`` int64 from 1, ``difficult`` and ``iscrowd`` ``[N]`` bool,
    ``area`` ``[N]`` (of the boxes), ``image_id`` (the index). ``iscrowd`` equals ``difficult``, so
    that training and COCO's metrics leave difficult objects out as VOC's own metric does. The
    files count pixels from 1 and include the last; here ``xmin ymin xmax ymax`` is
    ``(xmin - 1, ymin - 1, xmax, ymax)``. Boxes are cut at the image's edges, and those of which
    nothing is left are left out. A box that begins at 0 was counted from 0: a warning says so.

    The picture is the one that the XML's ``filename`` names in ``JPEGImages``, else the one of the
    XML's own name, with any suffix that is read. It is upright: where the XML's ``size`` says that
    boxes are of the pixels as they are stored, which EXIF turns, they are turned too.

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
        annotations = self.root / "Annotations"
        self.names = image_names(path, lambda name: (annotations / f"{name}.xml").is_file())
        self.pictures = AnnotatedPictures()
        self._by_name = NamedPictures(self.root / "JPEGImages")
        self.counted_from_zero = 0
        annotated = [self._annotation(name) for name in self.names]
        self.files = [file for file, _, _ in annotated]
        self.sizes = [size for _, size, _ in annotated]
        self.objects = [objects for _, _, objects in annotated]
        if self.counted_from_zero:
            warnings.warn(
                f"{self.root}: {self.counted_from_zero} boxes begin at pixel 0, and the format "
                "counts from 1: they are cut at the edge, and the others may be a pixel off",
                stacklevel=2,
            )

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        index = range(len(self))[index]
        file, size = self.files[index], self.sizes[index]
        image, frame = self.pictures.read(file, size)
        self.pictures.check_size(file, frame, size)
        objects = self.objects[index]
        boxes = torch.tensor([box for box, _, _ in objects], dtype=torch.float32).reshape(-1, 4)
        edge = torch.tensor([frame.width, frame.height] * 2, dtype=torch.float32)
        boxes = frame.boxes(boxes).clamp(min=0).minimum(edge)
        there = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
        if not there.all():
            sentence = f"{file}: boxes outside of the image are left out"
            self.pictures.tell("outside", sentence)
        boxes = boxes[there]
        difficult = torch.tensor([hard for _, _, hard in objects], dtype=torch.bool)[there]
        labels = torch.tensor([label for _, label, _ in objects], dtype=torch.int64)[there]
        width, height = (boxes[:, 2:] - boxes[:, :2]).unbind(1)
        return image, {
            "boxes": boxes,
            "labels": labels,
            "difficult": difficult,
            "iscrowd": difficult.clone(),
            "area": width * height,
            "image_id": index,
        }

    def _annotation(
        self, name: str
    ) -> tuple[Path, tuple[int, int] | None, list[tuple[list[float], int, bool]]]:
        """The picture's file, its height and width, of each object box, label and difficulty."""
        path = self.root / "Annotations" / f"{name}.xml"
        try:
            tree = ElementTree.parse(path)
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no annotation {path}") from None
        # ValueError and LookupError: of encodings that the parser does not have.
        except (ElementTree.ParseError, ValueError, LookupError) as error:
            raise ValueError(f"{path} is not XML: {error}") from error
        root = tree.getroot()
        objects = [
            self._object(element, f"{path}: object {number}")
            for number, element in enumerate(root.findall("object"), start=1)
        ]
        return self._picture(name, root.findtext("filename") or ""), _size(root), objects

    def _picture(self, name: str, file_name: str) -> Path:
        """The picture that an XML says it is of, else that of its own name."""
        own = self._by_name[name]
        file_name = file_name.strip().replace("\\", "/").rpartition("/")[2]
        path = own.parent / file_name
        if not os.path.isfile(path):  # unlike a path's own method, of any name
            return own
        if path.stem != own.stem and own.is_file():
            warnings.warn(
                f"{self.root}: the annotation {name}.xml names the image {file_name}, and is "
                f"taken to be of it, though there is {own.name} too",
                stacklevel=4,
            )
        return path

    def _object(self, element: ElementTree.Element, where: str) -> tuple[list[float], int, bool]:
        name = (element.findtext("name") or "").strip()
        if name not in self.classes[1:]:
            raise ValueError(f"{where} has the name {name!r}, which is not in classes")
        tags = [f"bndbox/{side}" for side in ("xmin", "ymin", "xmax", "ymax")]
        try:
            x1, y1, x2, y2 = (float(element.findtext(tag) or "") for tag in tags)
            if not math.isfinite(x1 + y1 + x2 + y2):
                raise ValueError
        except ValueError:
            raise ValueError(f"{where} must have four numbers in bndbox") from None
        self.counted_from_zero += x1 == 0 or y1 == 0
        if x2 < x1 or y2 < y1:
            raise ValueError(f"{where} has xmax < xmin or ymax < ymin")
        difficult = (element.findtext("difficult") or "0").strip() == "1"
        return [x1 - 1, y1 - 1, x2, y2], self.classes.index(name), difficult


def _size(annotation: ElementTree.Element) -> tuple[int, int] | None:
    """Height and width, where an XML gives them."""
    try:
        height, width = (int(annotation.findtext(f"size/{s}") or 0) for s in ("height", "width"))
    except ValueError:
        return None
    return (height, width) if height > 0 and width > 0 else None
