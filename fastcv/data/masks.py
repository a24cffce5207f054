"""Segmentation datasets: images, and for each a label map as a PNG."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv.classes import IGNORE, class_names
from fastcv.data._frame import AnnotatedPictures
from fastcv.data._image import check_links
from fastcv.data._image_set import NamedPictures, image_names
from fastcv.images import is_image, read_labels

Transform = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


class _Masks(Dataset[tuple[Tensor, Tensor]]):
    """Pairs of files.

    Args:
        files: each image and its label map.
        classes: names by label.
        transform: what to make of an image and its labels.
        labels: what the values of label maps mean; None: they are the labels.
    """

    def __init__(
        self,
        files: list[tuple[Path, Path]],
        classes: Sequence[str],
        transform: Transform | None,
        labels: Mapping[int, int] | None = None,
    ) -> None:
        self.files, self.classes, self.transform = files, tuple(classes), transform
        self.labels = labels
        self.pictures = AnnotatedPictures()
        # Of two classes, until a label 1 was seen, 255 may be meant as one.
        self._white_is_doubtful = len(self.classes) <= 2 and labels is None

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        picture, mask = self.files[index]
        labels = self._labels(mask)
        image, frame = self.pictures.read(picture, (labels.shape[0], labels.shape[1]))
        labels = frame.masks(labels)
        if image.shape[1:] != labels.shape:
            sizes = ["x".join(map(str, x.shape[-2:])) for x in (labels, image)]
            raise ValueError(f"{mask} is {sizes[0]}, and its image {picture.name} is {sizes[1]}")
        return self.transform(image, labels) if self.transform else (image, labels)

    def _labels(self, mask: Path) -> Tensor:
        stored = read_labels(mask)
        labels = stored
        if self.labels is not None:
            labels = torch.full_like(stored, -1)
            for value, label in self.labels.items():
                labels[stored == value] = label
            if (labels < 0).any():
                value = int(stored[labels < 0][0])
                raise ValueError(f"{mask} has the value {value}, which is not in labels")
        counts = labels != IGNORE
        max_label = int(labels.where(counts, 0).max())
        if self._white_is_doubtful and not counts.all() and max_label == 0:
            self._white_is_doubtful = False
            self.pictures.tell(
                "white",
                f"{mask} has 0 and 255 alone, and pixels of 255 do not count: where they are the "
                "object, labels={0: 0, 255: 1} says so",
            )
        self._white_is_doubtful &= max_label == 0
        if self.classes and max_label >= len(self.classes):
            classes = f"there are {len(self.classes)} classes"
            self.pictures.tell("labels", f"{mask} has the label {max_label}, and {classes}")
        return labels


class MaskFolder(_Masks):
    """A folder of images, and a folder of label maps with the same names but for the suffix.

    An item is ``(image, labels)``: ``[3, H, W]`` float32 in [0, 1] and ``[H, W]`` int64 as the PNG
    stores them, 255 where a pixel does not count; or what ``transform`` makes of both. There is an
    item for each label map, sorted; images without one are left out.

    Args:
        images: the folder of images.
        masks: the folder of label maps: PNGs with a palette or grey.
        classes: names by label, if they are known.
        transform: such as a random crop, ``transform(image, labels)``.
        labels: what the values of the PNGs mean, where they are not the labels: ``{0: 0, 255: 1}``
            of black and white ones. A warning says where that seems to be missing.

    Raises:
        FileNotFoundError: no such folder, one without PNGs, a label map without an image, or a link
            to nothing.
        ValueError: (on access) a broken file, an image and labels of different sizes, or a value
            that is not in ``labels``.

    Example:
        >>> import pathlib, tempfile, torch
        >>> from PIL import Image
        >>> from fastcv.data import MaskFolder
        >>> from fastcv.results import Segmentation
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> Segmentation(torch.tensor([[0, 1, 1]]), ("wall", "door")).save_labels(root / "m/7.png")
        >>> (root / "i").mkdir()
        >>> Image.new("RGB", (3, 1)).save(root / "i/7.jpg")
        >>> image, labels = MaskFolder(root / "i", root / "m")[0]
        >>> image.shape, labels
        (torch.Size([3, 1, 3]), tensor([[0, 1, 1]]))
    """

    def __init__(
        self,
        images: str | os.PathLike[str],
        masks: str | os.PathLike[str],
        *,
        classes: Sequence[str] = (),
        transform: Transform | None = None,
        labels: Mapping[int, int] | None = None,
    ) -> None:
        of_stem = {path.stem: path for path in _files(images) if is_image(path)}
        files = []
        for mask in (path for path in _files(masks) if path.suffix.lower() == ".png"):
            if mask.stem not in of_stem:
                raise FileNotFoundError(f"{mask} has no image: there is no {images}/{mask.stem}.*")
            files.append((of_stem[mask.stem], mask))
        if not files:
            raise FileNotFoundError(f"the folder {masks} has no label maps (.png)")
        check_links(path for pair in files for path in pair)
        super().__init__(files, classes, transform, labels)


class VocSegmentation(_Masks):
    """Images and label maps of PASCAL VOC: ``JPEGImages``, ``SegmentationClass``, ``ImageSets``.

    An item is as of ``MaskFolder``. Label 0 is the background, 1 to 20 are the classes; 255 is a
    band of some five pixels about each object, and what is too difficult.

    Args:
        root: the folder of one year, such as ``VOCdevkit/VOC2012``.
        image_set: a name in ``ImageSets/Segmentation`` such as ``"trainval"``, or a file of image
            names.
        transform: such as a random crop, ``transform(image, labels)``.

    Raises:
        FileNotFoundError: no such image set, or (on access) image or label map.
        ValueError: (on access) a broken file, or an image and labels of different sizes.

    Source: Everingham et al., "The PASCAL Visual Object Classes Challenge" (2010).

    Example:
        >>> from fastcv.data import VocSegmentation
        >>> VocSegmentation("VOCdevkit/VOC2012", "val")
        Traceback (most recent call last):
        ...
        FileNotFoundError: there is no image set VOCdevkit/VOC2012/ImageSets/Segmentation/val.txt
    """

    def __init__(
        self,
        root: str | os.PathLike[str],
        image_set: str | os.PathLike[str],
        *,
        transform: Transform | None = None,
    ) -> None:
        root, path = Path(root), Path(image_set)
        if path.suffix != ".txt":
            path = root / "ImageSets" / "Segmentation" / f"{path}.txt"
        if not path.is_file():
            raise FileNotFoundError(f"there is no image set {path}")
        pictures, maps = NamedPictures(root / "JPEGImages"), root / "SegmentationClass"
        names = image_names(path, lambda name: (maps / f"{name}.png").is_file())
        files = [(pictures[name], maps / f"{name}.png") for name in names]
        super().__init__(files, class_names("voc"), transform)


class LabelMaps(Dataset[tuple[Tensor, Tensor]]):
    """A dataset of objects with masks as one of label maps: which object a pixel is of is lost.

    An item is ``(image, labels)``: labels ``[H, W]`` int64, 0 where there is no object; the later
    object where two overlap.

    Args:
        dataset: items ``(image, target)``, targets with ``masks`` and ``labels``, such as
            ``DrawnDigits`` or ``CocoDetection(..., masks=True)``.

    Example:
        >>> from fastcv.data import DrawnDigits, LabelMaps
        >>> image, labels = LabelMaps(DrawnDigits("val", size=(128, 160)))[3]
        >>> labels.shape, labels.unique()  # background, 0, 1, 4, 8, 9
        (torch.Size([128, 160]), tensor([ 0,  1,  2,  5,  9, 10]))
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.classes: tuple[str, ...] = tuple(dataset.classes)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image, target = self.dataset[index]
        labels = torch.zeros(image.shape[1:], dtype=torch.int64)
        for mask, label in zip(target["masks"], target["labels"].tolist(), strict=True):
            labels[mask] = label
        return image, labels


def _files(folder: str | os.PathLike[str]) -> list[Path]:
    path = Path(folder)
    if not path.is_dir():
        raise FileNotFoundError(f"there is no folder {path}")
    return sorted(p for p in path.iterdir() if not p.is_dir() and not p.name.startswith("."))
