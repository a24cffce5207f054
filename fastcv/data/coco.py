"""Detection datasets in the format of COCO: one JSON file beside a folder of images."""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from typing import Any, TypeGuard

import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv._extras import need
from fastcv.classes import UNUSED
from fastcv.data._coco_masks import checked, draw
from fastcv.data._frame import AnnotatedPictures, Frame

MAX_ID = 999_999  # of a category: a detector has scores for each number up to it


class CocoDetection(Dataset[tuple[Tensor, dict[str, Any]]]):
    """Images and their instances from COCO's JSON: ``instances_*``, ``person_keypoints_*`` or own.

    An item is ``(image, target)``: ``[3, H, W]`` float32 in [0, 1], and a dict of ``boxes``
    ``[N, 4]`` (xyxy), ``labels`` ``[N]`` int64, ``iscrowd`` ``[N]`` bool, ``area`` ``[N]``,
    ``image_id``, with ``masks=True`` ``masks`` ``[N, H, W]`` bool, and where the categories have
    keypoints ``keypoints`` ``[N, K, 3]`` (x, y, visibility; zeros for an instance without).

    The image is upright. Where ``width`` and ``height`` of the file say that its annotations are of
    the pixels as they are stored, which EXIF turns, they are turned too; a warning says where
    sizes are of neither frame, or cannot tell.

    A label is the category's id in the file, so that COCO's are 1 to 90 as models trained on it
    have them; an id that the file leaves out is ``"(unused)"`` in ``classes``. Images come in the
    order of their ids, those without instances too. Boxes without area are left out, and with
    ``masks=True`` instances whose polygons all have fewer than three points; a warning says how
    many. Ids of annotations do not matter. Backslashes in a file name are slashes where there is no
    file of the name as it is.

    Args:
        images: the folder that the file names in the JSON are relative to.
        annotations: the JSON file.
        masks: whether targets have masks (polygons and both forms of RLE).
        keypoints: whether targets have keypoints. None: where all categories that have some have
            the same; where they differ, there are none, and a warning says so.

    Raises:
        FileNotFoundError: no such folder, JSON file, or (on access) image.
        ValueError: the JSON is malformed or lacks something, and what it is; (on access) an image
            is broken. Masks and keypoints that are not wanted are not looked at.
        ImportError: ``masks=True`` without pycocotools.

    Source: https://cocodataset.org/#format-data

    Example:
        >>> import json, pathlib, tempfile, torch
        >>> from PIL import Image
        >>> from fastcv.data import CocoDetection
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> Image.new("RGB", (8, 6)).save(folder / "a.png")
        >>> _ = (folder / "train.json").write_text(json.dumps({
        ...     "images": [{"id": 7, "file_name": "a.png", "width": 8, "height": 6}],
        ...     "annotations": [{"id": 1, "image_id": 7, "category_id": 2, "bbox": [1, 2, 3, 4]}],
        ...     "categories": [{"id": 2, "name": "cat"}],
        ... }))
        >>> dataset = CocoDetection(folder, folder / "train.json")
        >>> image, target = dataset[0]
        >>> target["boxes"], [dataset.classes[label] for label in target["labels"]]
        (tensor([[1., 2., 4., 6.]]), ['cat'])
    """

    def __init__(
        self,
        images: str | os.PathLike[str],
        annotations: str | os.PathLike[str],
        *,
        masks: bool = False,
        keypoints: bool | None = None,
    ) -> None:
        self.folder, self.path, self.masks = Path(images), Path(annotations), masks
        if not self.folder.is_dir():
            raise FileNotFoundError(f"there is no folder of images {self.folder}")
        if not self.path.is_file():
            raise FileNotFoundError(f"there is no annotation file {self.path}")
        if masks:
            need("pycocotools.mask", extra="data")
        content = self._parse()
        names = self._names(content["categories"])
        self.classes = tuple(names.get(label, UNUSED) for label in range(max(names) + 1))
        self.images = self._images(content["images"])
        self.keypoint_names = self._keypoint_names(content["categories"], keypoints)
        self.pictures = AnnotatedPictures()
        self.instances: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in self.images}
        sizes = {image["id"]: image["size"] for image in self.images}
        left_out = {"boxes have no area": 0, "segmentations have no area": 0}
        for number, annotation in enumerate(content["annotations"]):
            instance = self._instance(number, annotation, names, sizes)
            x1, y1, x2, y2 = instance["box"]
            if not (x2 > x1 and y2 > y1):
                left_out["boxes have no area"] += 1
            elif masks and not instance["segmentation"]:
                left_out["segmentations have no area"] += 1
            else:
                self.instances[annotation["image_id"]].append(instance)
        for what, count in left_out.items():
            if count:
                warnings.warn(
                    f"{self.path}: {count} of {len(content['annotations'])} {what} and are left "
                    "out",
                    stacklevel=2,
                )

    def __len__(self) -> int:
        return len(self.images)

    @property
    def files(self) -> list[Path]:
        """The pictures, whether or not they are there."""
        return [self._path(image["file_name"]) for image in self.images]

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        entry = self.images[index]
        instances = self.instances[entry["id"]]
        path = self._path(entry["file_name"])
        image, frame = self.pictures.read(path, entry["size"])
        self.pictures.check_size(path, frame, entry["size"])
        return image, self._target(entry, instances, frame)

    def _target(
        self, entry: dict[str, Any], instances: list[dict[str, Any]], frame: Frame
    ) -> dict[str, Any]:
        boxes = torch.tensor([i["box"] for i in instances], dtype=torch.float32).reshape(-1, 4)
        target: dict[str, Any] = {
            "boxes": frame.boxes(boxes),
            "labels": torch.tensor([i["label"] for i in instances], dtype=torch.int64),
            "iscrowd": torch.tensor([i["iscrowd"] for i in instances], dtype=torch.bool),
            "area": torch.tensor([i["area"] for i in instances], dtype=torch.float32),
            "image_id": entry["id"],
        }
        if self.masks:
            target["masks"] = frame.masks(self._masks(instances, entry["id"], *frame.stored_size))
        if self.keypoint_names:
            values = torch.tensor([i["keypoints"] for i in instances], dtype=torch.float32)
            keypoints = values.reshape(len(instances), len(self.keypoint_names), 3)
            places, seen = frame.points(keypoints[..., :2]), keypoints[..., 2:]
            # Those that are not labelled stay at 0.
            target["keypoints"] = torch.cat([places.where(seen > 0, keypoints[..., :2]), seen], 2)
        return target

    def _path(self, name: str) -> Path:
        path = self.folder / name
        if "\\" in name and not path.exists():  # written on Windows
            return self.folder / name.replace("\\", "/")
        return path

    def _parse(self) -> dict[str, list[dict[str, Any]]]:
        try:
            content = json.loads(self.path.read_bytes())
        except (ValueError, RecursionError) as error:  # of the JSON, its encoding, its depth
            raise ValueError(f"{self.path} is not JSON: {error}") from error
        for key in ("images", "annotations", "categories"):
            entries = content.get(key) if isinstance(content, dict) else None
            if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
                raise ValueError(f'{self.path} must have a list of objects "{key}"')
        return content

    def _names(self, categories: list[dict[str, Any]]) -> dict[int, str]:
        names = {0: "background"}
        for number, category in enumerate(categories):
            label = self._get(category, "id", int, "category", number)
            if label > MAX_ID:
                raise ValueError(
                    f"{self.path}: category {number} has the id {label}, which must be at most "
                    f"{MAX_ID}: it is the label, and classes has a name for each number up to it"
                )
            if label > 0:
                name = self._get(category, "name", str, "category", number)
                if names.setdefault(label, name) != name:
                    raise ValueError(
                        f"{self.path}: categories {names[label]!r} and {name!r} have the same id "
                        f"{label}"
                    )
        return names

    def _images(self, images: list[dict[str, Any]]) -> list[dict[str, Any]]:
        kept = [
            {
                "id": self._get(image, "id", int, "image", number),
                "file_name": self._get(image, "file_name", str, "image", number),
                "size": _size(image),
            }
            for number, image in enumerate(images)
        ]
        if len({image["id"] for image in kept}) < len(kept):
            raise ValueError(f"{self.path} has several images with the same id")
        return sorted(kept, key=lambda image: image["id"])

    def _keypoint_names(
        self, categories: list[dict[str, Any]], keypoints: bool | None
    ) -> tuple[str, ...]:
        given = [c["keypoints"] for c in categories if c.get("keypoints")]
        if keypoints is False or not given:
            return ()
        if all(isinstance(names, list) and names == given[0] for names in given):
            return tuple(map(str, given[0]))
        sentence = f"{self.path} has categories with different keypoints"
        if keypoints:
            raise ValueError(sentence)
        warnings.warn(f"{sentence}: targets have none", stacklevel=3)
        return ()

    def _instance(
        self,
        number: int,
        annotation: dict[str, Any],
        names: dict[int, str],
        sizes: dict[int, tuple[int, int] | None],
    ) -> dict[str, Any]:
        def get(key: str, kind: type, default: Any = None) -> Any:
            return self._get(annotation, key, kind, "annotation", number, default)

        label, box = get("category_id", int), get("bbox", list)
        if get("image_id", int) not in self.instances:
            raise ValueError(
                f"{self.path}: annotation {number} is of image {annotation['image_id']}, "
                'which is not in "images"'
            )
        if label < 1 or label not in names:
            raise ValueError(
                f"{self.path}: annotation {number} has category_id {label}, which must be in "
                '"categories" and above 0 (0 is the background)'
            )
        if len(box) != 4 or not all(is_number(value) for value in box):
            raise ValueError(
                f"{self.path}: the bbox of annotation {number} must be four numbers, got {box}"
            )
        x, y, width, height = (float(value) for value in box)
        area = annotation.get("area")
        if area is not None and not is_number(area):
            raise ValueError(
                f"{self.path}: the area of annotation {number} must be a number, got {area!r}"
            )
        instance = {
            "box": (x, y, x + width, y + height),
            "label": label,
            "iscrowd": annotation.get("iscrowd") is not None and bool(get("iscrowd", int)),
            "area": width * height if area is None else float(area),
        }
        if self.masks:
            segmentation, size = get("segmentation", object), sizes[annotation["image_id"]]
            try:
                instance["segmentation"] = checked(segmentation, size)
            except Exception as error:  # pycocotools raises plain ones
                where = f"annotation {number}: a segmentation"
                raise self._no_mask(where, annotation["image_id"], size, error) from error
        if self.keypoint_names:
            instance["keypoints"] = self._keypoints(number, annotation)
        return instance

    def _keypoints(self, number: int, annotation: dict[str, Any]) -> list[float]:
        count = 3 * len(self.keypoint_names)
        keypoints = annotation.get("keypoints") or [0] * count
        if not isinstance(keypoints, list) or not all(map(is_number, keypoints)):
            raise ValueError(
                f"{self.path}: the keypoints of annotation {number} must be numbers, got "
                f"{keypoints!r}"
            )
        if len(keypoints) != count:
            raise ValueError(
                f"{self.path}: annotation {number} has {len(keypoints)} numbers "
                f"as keypoints, its category has {count // 3} of three"
            )
        return keypoints

    def _get(
        self,
        entry: dict[str, Any],
        key: str,
        kind: type,
        what: str,
        number: int,
        default: Any = None,
    ) -> Any:
        value = entry.get(key, default)
        if value is None:
            raise ValueError(f'{self.path}: {what} {number} lacks "{key}"')
        if not isinstance(value, kind):
            raise ValueError(
                f'{self.path}: "{key}" of {what} {number} must be {kind.__name__}, got {value!r}'
            )
        return value

    def _masks(
        self, instances: list[dict[str, Any]], image_id: int, height: int, width: int
    ) -> Tensor:
        masks = torch.zeros(len(instances), height, width, dtype=torch.bool)
        for mask, instance in zip(masks, instances, strict=True):
            try:
                mask.copy_(draw(instance["segmentation"], height, width))
            except Exception as error:  # pycocotools raises plain ones
                size = (height, width)
                raise self._no_mask("a segmentation", image_id, size, error) from error
        return masks

    def _no_mask(
        self, what: str, image_id: int, size: tuple[int, int] | None, error: Exception
    ) -> ValueError:
        of_size = f" ({size[0]} x {size[1]})" if size else ""
        return ValueError(
            f"{self.path}: {what} of image {image_id}{of_size} is neither polygons nor RLE of its "
            f"size: {error}"
        )


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether it is a number that a float has room for."""
    # Python's whole numbers may be larger than any float.
    return isinstance(value, (int, float)) and abs(value) <= sys.float_info.max


def _size(image: dict[str, Any]) -> tuple[int, int] | None:
    """Height and width of an image's entry, where it has them."""
    height, width = image.get("height"), image.get("width")
    if not (is_number(height) and is_number(width) and min(height, width) >= 1):
        return None
    return int(height), int(width)
