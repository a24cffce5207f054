"""Classes of one's own: a folder of pictures for each, for classifiers."""

from __future__ import annotations

import copy
import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from fastcv.augment import Compose, RandAugment, RandomResizedCrop
from fastcv.data import ImageFolder
from fastcv.learn.own_data._light import LIGHT, MIRROR
from fastcv.learn.own_data._pictures import Annotated, look, sentence
from fastcv.models import _task_data
from fastcv.results import Classification

AUGMENT = {
    "flip": Compose(LIGHT, MIRROR),
    "none": None,
    "color": LIGHT,
    "strong": Compose(MIRROR, RandAugment()),
}
AREA = (0.35, 1.0)  # of a picture: the share that a crop shows, where pictures are changed


def folder(root: str, classes: Sequence[str] | None = None) -> Annotated:
    """Pictures in a folder for each class.

    Args:
        root: the folder of folders.
        classes: names that the folders must have; None: those that they have.

    Raises:
        FileNotFoundError: no such folder, or one without folders.
        ValueError: a class without pictures, a strange one, or a picture that cannot be read.
    """
    data = ImageFolder(root) if classes is None else _task_data.image_folder(classes, root)
    files = [path for path, _ in data.samples]
    labels = [[label] for _, label in data.samples]
    names = tuple(classes or data.classes)
    found = look(Annotated(data, names, files, labels, background=False))
    return replace(found, suspicious=[*found.suspicious, *_in_two_classes(found)])


def config(size: int | None, takes: Sequence[str]) -> dict[str, Any]:
    """What a builder is told for pictures of some size: nothing, ``examples`` sees to it."""
    return {}


def examples(model: Any, found: Annotated, augment: str, size: int | None) -> Examples:
    """What the model learns from; with a size it sees squares of so many pixels, then and after."""
    old = model.preprocessing
    if size is not None:
        larger = round(size * old["resize"] / old["crop"])
        model.preprocessing = {**old, "crop": size, "resize": larger}
    return Examples(model, found.data, augment)


def truth(image: Tensor, target: int, classes: Sequence[str]) -> Classification:
    """A target as a classifier's result."""
    scores = F.one_hot(torch.tensor(target), len(classes)).float()
    return Classification(scores, tuple(classes))


class Examples(Dataset[tuple[Tensor, int]]):
    """Pictures and labels as ``fit`` gives them to a classifier, cut and changed anew each time.

    Args:
        model: a classifier; ``preprocessing`` says how large its squares are.
        data: items ``(image, label)``.
        augment: a name of ``AUGMENT``.
    """

    def __init__(self, model: Any, data: Any, augment: str) -> None:
        self.data, self.augment, self.classes = data, AUGMENT[augment], data.classes
        side = model.preprocessing["crop"]
        self.model, self.square = model, (side, side)
        # What predict does to pictures, but for the cut: they come cut.
        self.preparer = copy.copy(model)
        self.preparer.preprocessing = {**model.preprocessing, "resize": side}

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, label = self.data[index]
        if self.augment is None:
            return self.model._resize_and_crop(image), label  # as predict does
        cut = RandomResizedCrop(self.square, AREA)
        images, _ = self.augment(cut(image[None])[0])
        return images[0], label

    def collate(self, items: Sequence[tuple[Tensor, int]]) -> tuple[Tensor, Tensor]:
        """Normalised images ``[B, 3, side, side]`` and labels ``[B]``."""
        images, labels = zip(*items, strict=True)
        return self.preparer.prepare(list(images)), torch.tensor(labels)


def _in_two_classes(found: Annotated) -> list[str]:
    """The same file in the folders of two classes."""
    by_size = defaultdict(list)
    for path, labels in zip(found.files, found.labels, strict=True):
        by_size[path.stat().st_size].append((path, labels[0]))
    first: dict[bytes, int] = {}
    both: list[Path] = []
    for same in (same for same in by_size.values() if len({label for _, label in same}) > 1):
        for path, label in same:
            content = hashlib.sha256(path.read_bytes()).digest()
            if first.setdefault(content, label) != label:
                both.append(path)
    return sentence("picture is", "pictures are", both, "in the folder of another class too")
