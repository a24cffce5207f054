"""Detection datasets in the format of COCO: one JSON file beside a folder of images."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv._extras import need
from fastcv.data._image import read

UNUSED = "(unused)"  # a label that stands for no class, as in fastcv.classes


class CocoDetection(Dataset[tuple[Tensor, dict[str, Any]]]):
    """Images and their instances from COCO's JSON: ``instances_*``, ``person_keypoints_*`` or own.

    An item is ``(image, target)``: ``[3, H, W]`` float32 in [0, 1], and a dict of ``boxes``
    ``[N, 4]`` (xyxy), ``labels`` ``[N]`` int64, ``iscrowd`` ``[N]`` bool, ``area`` ``[N]``,
    ``image_id``, with ``masks=True`` ``masks`` ``[N, H, W]`` bool, and where the annotations have
    keypoints ``keypoints`` ``[N, K, 3]`` (x, y, visibility; zeros for an instance without).

    A label is the category's id in the file, so that COCO's are 1 to 90 as models trained on it
    have them; an id that the file leaves out is ``"(unused)"`` in ``classes``. Images come in the
    order of their ids, those without instances too. Boxes without area are left out, and a warning
    says how many.

    Args:
        images: the folder that the file names in the JSON are relative to.
        annotations: the JSON file.
        masks: whether targets have masks (polygons and both forms of RLE).

    Raises:
        FileNotFoundError: no such folder, JSON file, or (on access) image.
        ValueError: the JSON is malformed or lacks something; an image is broken.
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
        self.keypoint_names = self._keypoint_names(content["categories"])
        self.instances: dict[int, list[dict[str, Any]]] = {image["id"]: [] for image in self.images}
        degenerate = 0
        for number, annotation in enumerate(content["annotations"]):
            instance = self._instance(number, annotation, names)
            x1, y1, x2, y2 = instance["box"]
            if x2 > x1 and y2 > y1:
                self.instances[annotation["image_id"]].append(instance)
            else:
                degenerate += 1
        if degenerate:
            warnings.warn(
                f"{self.path}: {degenerate} of {len(content['annotations'])} boxes have no area "
                "and are left out",
                stacklevel=2,
            )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        entry = self.images[index]
        instances = self.instances[entry["id"]]
        image = read(self.folder / entry["file_name"])
        boxes = torch.tensor([i["box"] for i in instances], dtype=torch.float32).reshape(-1, 4)
        target: dict[str, Any] = {
            "boxes": boxes,
            "labels": torch.tensor([i["label"] for i in instances], dtype=torch.int64),
            "iscrowd": torch.tensor([i["iscrowd"] for i in instances], dtype=torch.bool),
            "area": torch.tensor([i["area"] for i in instances], dtype=torch.float32),
            "image_id": entry["id"],
        }
        if self.masks:
            target["masks"] = self._masks(instances, entry["id"], *image.shape[1:])
        if self.keypoint_names:
            keypoints = [i["keypoints"] for i in instances]
            target["keypoints"] = torch.tensor(keypoints, dtype=torch.float32).reshape(
                len(instances), len(self.keypoint_names), 3
            )
        return image, target

    def _parse(self) -> dict[str, list[dict[str, Any]]]:
        try:
            content = json.loads(self.path.read_bytes())
        except ValueError as error:  # of the JSON or of its encoding
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
            if label > 0:
                names[label] = self._get(category, "name", str, "category", number)
        return names

    def _images(self, images: list[dict[str, Any]]) -> list[dict[str, Any]]:
        kept = [
            {
                "id": self._get(image, "id", int, "image", number),
                "file_name": self._get(image, "file_name", str, "image", number),
            }
            for number, image in enumerate(images)
        ]
        if len({image["id"] for image in kept}) < len(kept):
            raise ValueError(f"{self.path} has several images with the same id")
        return sorted(kept, key=lambda image: image["id"])

    def _keypoint_names(self, categories: list[dict[str, Any]]) -> tuple[str, ...]:
        schemes = {tuple(c["keypoints"]) for c in categories if c.get("keypoints")}
        if len(schemes) > 1:
            raise ValueError(f"{self.path} has categories with different keypoints")
        return schemes.pop() if schemes else ()

    def _instance(
        self, number: int, annotation: dict[str, Any], names: dict[int, str]
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
        if len(box) != 4 or not all(isinstance(value, (int, float)) for value in box):
            raise ValueError(
                f"{self.path}: the bbox of annotation {number} must be four numbers, got {box}"
            )
        x, y, width, height = (float(value) for value in box)
        area = annotation.get("area")
        instance = {
            "box": (x, y, x + width, y + height),
            "label": label,
            "iscrowd": bool(get("iscrowd", int, 0)),
            "area": width * height if area is None else float(area),
        }
        if self.masks:
            instance["segmentation"] = get("segmentation", object)
        if self.keypoint_names:
            count = 3 * len(self.keypoint_names)
            instance["keypoints"] = get("keypoints", list, [0] * count)
            if len(instance["keypoints"]) != count:
                raise ValueError(
                    f"{self.path}: annotation {number} has {len(instance['keypoints'])} numbers "
                    f"as keypoints, its category has {count // 3} of three"
                )
        return instance

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
                mask.copy_(self._mask(instance["segmentation"], height, width))
            except Exception as error:  # pycocotools raises plain ones
                raise ValueError(
                    f"{self.path}: a segmentation of image {image_id} ({height} x {width}) is "
                    f"neither polygons nor RLE of its size: {error}"
                ) from error
        return masks

    def _mask(self, segmentation: Any, height: int, width: int) -> Tensor:
        rle = need("pycocotools.mask", extra="data")
        if isinstance(segmentation, list):  # polygons
            segmentation = rle.merge(rle.frPyObjects(segmentation, height, width))
        elif isinstance(segmentation["counts"], list):
            segmentation = rle.frPyObjects(segmentation, height, width)
        return torch.from_numpy(rle.decode(segmentation)).bool()
