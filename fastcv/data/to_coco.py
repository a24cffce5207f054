"""Any detection dataset as COCO's ground truth, which its metrics compare with."""

from __future__ import annotations

from typing import Any

from fastcv._extras import need
from fastcv.classes import UNUSED
from fastcv.data.protocols import DatasetWithClasses


def detection_to_coco(
    dataset: DatasetWithClasses, *, masks: bool = False
) -> dict[str, list[dict[str, Any]]]:
    """The targets of a dataset in COCO's format, ready for JSON or ``pycocotools``.

    Labels become category ids and ``image_id`` the image's id. ``iscrowd``, ``area`` (else the
    box's) and keypoints go along where the targets have them.

    Args:
        dataset: items ``(image, target)`` and ``classes``, as the detection datasets here have.
        masks: whether to write masks too, as RLE.

    Returns:
        A dict of ``images``, ``annotations`` and ``categories``.

    Raises:
        ValueError: ``masks`` of targets that have none, or two images with one ``image_id``.
        ImportError: ``masks`` without pycocotools.

    Source: https://cocodataset.org/#format-data

    Example:
        >>> from fastcv.data import DrawnDigits, detection_to_coco
        >>> truth = detection_to_coco(DrawnDigits("val", length=2))
        >>> truth["images"]
        [{'id': 0, 'height': 192, 'width': 192}, {'id': 1, 'height': 192, 'width': 192}]
        >>> truth["categories"][0]["name"], len(truth["categories"])
        ('0', 10)
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for index in range(len(dataset)):
        image, target = dataset[index]
        height, width = image.shape[1:]
        images.append({"id": int(target["image_id"]), "height": height, "width": width})
        rles = _rles(target) if masks else None
        for i, (x1, y1, x2, y2) in enumerate(target["boxes"].tolist()):
            annotation = {
                "id": len(annotations) + 1,  # from 1: pycocotools takes 0 for no match
                "image_id": images[-1]["id"],
                "category_id": int(target["labels"][i]),
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "area": float(target["area"][i]) if "area" in target else (x2 - x1) * (y2 - y1),
                "iscrowd": int(target["iscrowd"][i]) if "iscrowd" in target else 0,
            }
            if rles is not None:
                annotation["segmentation"] = rles[i]
            if "keypoints" in target:
                points = target["keypoints"][i]
                annotation["keypoints"] = points.flatten().tolist()
                annotation["num_keypoints"] = int((points[:, 2] > 0).sum())
            annotations.append(annotation)
    if len({image["id"] for image in images}) < len(images):
        raise ValueError("the dataset has several images with the same image_id")
    categories = [
        {"id": label, "name": name}
        for label, name in enumerate(dataset.classes)
        if label > 0 and name != UNUSED
    ]
    if keypoint_names := getattr(dataset, "keypoint_names", ()):
        categories = [category | {"keypoints": list(keypoint_names)} for category in categories]
    return {"images": images, "annotations": annotations, "categories": categories}


def _rles(target: dict[str, Any]) -> list[dict[str, Any]]:
    if "segmentation" in target:  # as RLE already
        rles: list[dict[str, Any]] = target["segmentation"]
        return rles
    if "masks" not in target:
        raise ValueError(
            f"masks=True needs targets with masks, image {target['image_id']} has none"
        )
    rle = need("pycocotools.mask", extra="data")
    columns_first = target["masks"].permute(0, 2, 1).contiguous().numpy().astype("uint8")
    return [
        {"size": mask["size"], "counts": mask["counts"].decode("ascii")}
        for mask in rle.encode(columns_first.T)  # [H, W, N] in Fortran order
    ]
