"""Label maps of one's own: folders of images and masks, and VOC's layout, for segmenters."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from fastcv.classes import IGNORE
from fastcv.data import MaskFolder, VocSegmentation
from fastcv.images import read_labels
from fastcv.learn.own_data._light import LIGHT
from fastcv.learn.own_data._pictures import Annotated, look, sentence
from fastcv.models import _task_data
from fastcv.results import Segmentation

# Of each: the light, whether half of the pictures are mirrored, how they are scaled.
AUGMENT = {
    "flip": (LIGHT, True, (0.75, 1.33)),
    "none": (None, False, (1.0, 1.0)),
    "color": (LIGHT, False, (0.75, 1.33)),
    "strong": (LIGHT, True, (0.5, 2.0)),
}
CELL = 32  # sides of what segmenters learn from are multiples of it
MAX_SIDE = 512


def masks(images: str, label_maps: str, classes: Sequence[str] | None = None) -> Annotated:
    """A folder of images and one of label maps.

    Args:
        images: the folder of images.
        label_maps: that of PNGs with labels from 0. Names, one a line, are read from a
            ``classes.txt`` in it, if there is one.
        classes: names by label that there must be; None: those of ``classes.txt``, else
            ``background``, ``class 1`` and so on.

    Raises:
        FileNotFoundError: no such folder, or a picture that is not there.
        ValueError: label maps that cannot be right, or none.
    """
    data = MaskFolder(images, label_maps, classes=_task_data.names_in(label_maps))
    return _annotated(data, classes)


def voc(root: str, image_set: str, classes: Sequence[str] | None = None) -> Annotated:
    """Images and label maps in VOC's layout.

    Args:
        root: the folder with ``JPEGImages``, ``SegmentationClass`` and ``ImageSets/Segmentation``.
            Names are read from a ``classes.txt`` in it, if there is one; else they are VOC's.
        image_set: a name there, or a file of image names.
        classes: names by label that there must be.

    Raises:
        FileNotFoundError, ValueError: as of ``masks``.
    """
    data = VocSegmentation(root, image_set)
    data.classes = _task_data.names_in(root) or data.classes
    return _annotated(data, classes)


def config(size: int | None, takes: Sequence[str]) -> dict[str, Any]:
    """What a builder is told for pictures of some size: nothing, segmenters take any."""
    return {}


def examples(model: Any, found: Annotated, augment: str, size: int | None) -> Examples:
    """What the model learns from: squares of ``size``, else of about the pictures' size."""
    shorter = sorted(min(size) for size in found.sizes)[len(found.sizes) // 2]
    side = min(MAX_SIDE, max(CELL, round(shorter / CELL) * CELL))
    return Examples(model, found.data, augment, size or side)


def truth(image: Tensor, target: Tensor, classes: Sequence[str]) -> Segmentation:
    """A target as a segmenter's result."""
    return Segmentation(target, tuple(classes))


class Examples(Dataset[tuple[Tensor, Tensor]]):
    """Squares of pictures and of their label maps, cut and changed anew each time.

    Args:
        model: a segmenter; where its ``preprocessing`` has ``resize``, pictures are brought to
            that size first, as ``predict`` does.
        data: items ``(image, labels)``.
        augment: a name of ``AUGMENT``.
        side: of the squares, in pixels.
    """

    def __init__(self, model: Any, data: Any, augment: str, side: int) -> None:
        self.data, self.side, self.classes = data, side, data.classes
        self.light, self.mirrors, self.scales = AUGMENT[augment]
        self.shorter = model.preprocessing.get("resize")
        self.preparer = copy.copy(model)
        self.preparer.preprocessing = {
            key: value for key, value in model.preprocessing.items() if key != "resize"
        }

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, labels = self.data[index]
        low, high = map(math.log, self.scales)
        scale = math.exp(low + (high - low) * float(torch.rand(())))
        if self.shorter is not None:
            scale *= self.shorter / min(labels.shape)
        image, labels = _scaled(image, labels, scale)
        image, labels = _square(image, labels, self.side)
        if self.mirrors and bool(torch.rand(()) < 0.5):
            image, labels = image.flip(2), labels.flip(1)
        if self.light is not None:
            images, _ = self.light(image[None])
            image = images[0]
        return image, labels

    def collate(self, items: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Normalised images ``[B, 3, side, side]`` and labels ``[B, side, side]``."""
        images, labels = zip(*items, strict=True)
        return self.preparer.prepare(list(images)), torch.stack(labels)


def _scaled(image: Tensor, labels: Tensor, scale: float) -> tuple[Tensor, Tensor]:
    size = [max(1, round(n * scale)) for n in labels.shape]
    if size == list(labels.shape):
        return image, labels
    image = F.interpolate(image[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)
    labels = F.interpolate(labels[None, None].float(), size, mode="nearest-exact")[0, 0].long()
    return image, labels


def _square(image: Tensor, labels: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """A square somewhere; where the picture is smaller, pixels that do not count are put on."""
    height, width = labels.shape
    padding = (0, max(0, side - width), 0, max(0, side - height))
    image, labels = F.pad(image, padding), F.pad(labels, padding, value=IGNORE)
    top, left = (int(torch.randint(n - side + 1, ())) for n in labels.shape)
    rows, columns = slice(top, top + side), slice(left, left + side)
    return image[:, rows, columns], labels[rows, columns]


def _annotated(data: Any, classes: Sequence[str] | None) -> Annotated:
    read = [_labels_and_size(mask) for _, mask in data.files]
    max_label = max((label for there, _ in read for label in there), default=0)
    own = tuple(data.classes) or ("background", *(f"class {k}" for k in range(1, max_label + 1)))
    background = own[0].strip("_") == "background"
    if max_label >= len(classes or own):
        raise ValueError(
            f"a label map has the label {max_label}, and there are {len(classes or own)} classes, "
            f"the background counted: {', '.join((classes or own)[:4])}, ..."
        )
    if classes is not None:
        _task_data.check_classes(classes, own)
    if background and not any(label for there, _ in read for label in there):
        raise ValueError(
            "the label maps have no label but 0 (background) and 255 (does not count): an object's "
            "pixels must be 1, 2, ..., so black-and-white masks need 1 in place of 255"
        )
    labels = [[label for label in there if label or not background] for there, _ in read]
    files = [picture for picture, _ in data.files]
    found = look(Annotated(data, tuple(classes or own), files, labels, background))
    odd = [
        f"{picture.name} ({' x '.join(map(str, size))}, its label map {' x '.join(map(str, own))})"
        for picture, size, (_, own) in zip(files, found.sizes, read, strict=True)
        if size != own
    ]
    if odd:
        (told,) = sentence(
            "picture and its label map", "pictures and label maps", odd, "differ in size"
        )
        raise ValueError(told)
    return found


def _labels_and_size(mask: Path) -> tuple[list[int], tuple[int, int]]:
    """The labels that occur and count, and width and height."""
    labels = read_labels(mask)
    there = [label for label in torch.unique(labels).tolist() if label != IGNORE]
    return there, (labels.shape[1], labels.shape[0])
