"""COCO's metrics of detections, by COCO's own evaluator."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from fastcv._extras import need
from fastcv.data import detection_to_coco
from fastcv.data._coco_masks import checked

if TYPE_CHECKING:
    from fastcv.data.protocols import DatasetWithClasses
    from fastcv.models import Model

NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


class CocoResult(Protocol):
    """What one image's result must have, such as ``results.Detections``."""

    def to_coco(self, image_id: int) -> list[dict[str, Any]]: ...


def coco_metrics(
    truth: dict[str, Any] | DatasetWithClasses,
    found: Sequence[CocoResult],
    *,
    iou_type: str = "bbox",
) -> dict[str, Any]:
    """COCO's average precisions and recalls.

    Args:
        truth: ground truth in COCO's format, or a detection dataset. Ids of annotations do not
            matter; without ``iscrowd`` they are no crowds, without ``area`` it is that of the mask
            for ``"segm"``, else of the box.
        found: a result for each image of ``truth``, in its order.
        iou_type: ``"bbox"``, or ``"segm"`` where results and truth have ``segmentation``.

    Returns:
        ``AP`` (the mean over IoU thresholds 0.5, 0.55, ... 0.95, and over classes), ``AP50``,
        ``AP75``; ``APs``, ``APm``, ``APl`` (objects up to 32x32, up to 96x96, and above); the
        average recalls ``AR1``, ``AR10``, ``AR100`` (of so many detections an image), ``ARs``,
        ``ARm``, ``ARl``: numbers in [0, 1], without those that no object of the truth counts for.
        ``AP50_by_class``: a dict by class name.

    Raises:
        ValueError: the numbers of images differ, the truth has no objects, or one of them has no
            box, or no mask for ``"segm"``.
        ImportError: neither faster-coco-eval nor pycocotools is installed.

    Source: Lin et al., "Microsoft COCO: Common Objects in Context" (2014);
        https://cocodataset.org/#detection-eval

    Example:
        >>> import torch
        >>> from fastcv.metrics import coco_metrics
        >>> from fastcv.results import Detections
        >>> truth = {
        ...     "images": [{"id": 1, "height": 100, "width": 100}],
        ...     "categories": [{"id": 1, "name": "cat"}],
        ...     "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0,
        ...                      "bbox": [10, 10, 50, 40], "area": 2000}],
        ... }
        >>> found = Detections(  # IoU 0.9 with the cat
        ...     torch.tensor([[10.0, 10.0, 55.0, 50.0]]), torch.tensor([0.8]), torch.tensor([1]),
        ...     classes=("background", "cat"), image_size=(100, 100),
        ... )
        >>> metrics = coco_metrics(truth, [found])
        >>> f"{metrics['AP']:.3f}", f"{metrics['AP50']:.3f}", metrics["AP50_by_class"]
        ('0.900', '1.000', {'cat': 1.0})
    """
    if not isinstance(truth, dict):
        truth = detection_to_coco(truth, masks=iou_type == "segm")
    if len(found) != len(truth["images"]):
        raise ValueError(
            f"found must have one result for each of the {len(truth['images'])} images, got "
            f"{len(found)}"
        )
    rows = [
        row
        for image, result in zip(truth["images"], found, strict=True)
        for row in result.to_coco(image["id"])
    ]
    api, evaluator, masks = _evaluators()
    with contextlib.redirect_stdout(io.StringIO()):  # they print a table
        expected = _index(api, truth, _objects(truth["annotations"], iou_type))
        for row in expected.dataset["annotations"]:
            if row.get("area") is None:  # only of masks: boxes have theirs already
                row["area"] = float(masks.area(expected.annToRLE(row)))
        detected = expected.loadRes(rows) if rows else _index(api, truth, [])
        evaluation = evaluator(expected, detected, iou_type)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    metrics: dict[str, Any] = {
        name: float(value)
        for name, value in zip(NAMES, evaluation.stats, strict=False)
        if value >= 0  # -1: there is nothing to find
    }
    if "AP" not in metrics:
        raise ValueError("the ground truth has no objects to find: its metrics are undefined")
    names = {category["id"]: category["name"] for category in truth["categories"]}
    # [IoU thresholds, recall levels, classes, areas, limits]: IoU 0.5, all areas, 100 an image.
    precision = np.asarray(evaluation.eval["precision"])[0, :, :, 0, -1]
    metrics["AP50_by_class"] = {
        names[id]: float(curve.mean())
        for id, curve in zip(evaluation.params.catIds, precision.T, strict=True)
        if curve.min() >= 0
    }
    return metrics


def evaluate_detector(
    model: Model,
    dataset: DatasetWithClasses,
    *,
    batch_size: int = 1,
    progress: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """COCO's metrics of a detector on a dataset; fits ``fit``'s ``evaluate``.

    Args:
        model: a detector with ``predict``.
        dataset: items ``(image, target)`` and ``classes``, as ``fastcv.data`` has them; each is
            read once.
        batch_size: images at a time; larger batches pad images more, which can change results.
        progress: show a bar.
        options: for ``predict``, such as ``score_threshold``.

    Returns:
        As ``coco_metrics``.

    Example:
        >>> import torch
        >>> from fastcv.metrics import evaluate_detector
        >>> from fastcv.models import create_model
        >>> class Scenes(list):
        ...     classes = ("background", "cat")
        >>> cat = {"boxes": torch.tensor([[8.0, 8.0, 56.0, 40.0]]), "labels": torch.tensor([1])}
        >>> scenes = Scenes([(torch.rand(3, 64, 64), cat | {"image_id": 7})])
        >>> model = create_model("fasterrcnn_resnet18_fpn", num_classes=2, width=8, min_size=64)
        >>> evaluate_detector(model, scenes, score_threshold=0.99)["AP"]  # of random weights
        0.0
    """
    truth, found = _Targets(dataset), []
    size = len(dataset)
    for start in tqdm(range(0, size, batch_size), unit=" batches", disable=not progress):
        images: list[Tensor] = []
        for index in range(start, min(start + batch_size, size)):
            image, target = dataset[index]
            images.append(image)
            truth.add(image, target)
        found += model.predict(images, batch_size=batch_size, **options)
    return coco_metrics(truth, found)


class _Targets:
    """The targets of a dataset as it is passed through, with images that have a size only."""

    def __init__(self, dataset: DatasetWithClasses) -> None:
        self.classes = dataset.classes
        self.items: list[tuple[Tensor, dict[str, Any]]] = []

    def add(self, image: Tensor, target: dict[str, Any]) -> None:
        boxes_only = {k: v for k, v in target.items() if k not in ("masks", "keypoints")}
        self.items.append((torch.empty(image.shape, device="meta"), boxes_only))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        return self.items[index]


def _evaluators() -> tuple[Any, Any, Any]:
    """COCO, COCOeval, masks: of faster-coco-eval if it is installed, else of pycocotools."""
    try:
        faster = need("faster_coco_eval", extra="data")
    except ImportError:
        coco, evaluate, masks = (
            need(f"pycocotools.{m}", extra="data") for m in ("coco", "cocoeval", "mask")
        )
        return coco.COCO, evaluate.COCOeval, masks
    return faster.COCO, faster.COCOeval_faster, need("faster_coco_eval.core.mask", extra="data")


def _index(api: Any, truth: dict[str, Any], annotations: list[dict[str, Any]]) -> Any:
    coco = api()
    coco.dataset = {**truth, "annotations": annotations}
    coco.createIndex()
    return coco


def _objects(annotations: list[dict[str, Any]], iou_type: str) -> list[dict[str, Any]]:
    """Copies, for the evaluators write into them, with all that the evaluators need.

    Raises:
        ValueError: an annotation has no box, or no mask where masks are compared.
    """
    needed = "segmentation" if iou_type == "segm" else "bbox"
    objects = []
    for number, annotation in enumerate(annotations):
        if not annotation.get(needed):
            raise ValueError(f"annotation {number} of the ground truth has no {needed}")
        # An id of its own, and above 0, which the evaluators take for no match.
        row = annotation | {"id": number + 1, "iscrowd": int(annotation.get("iscrowd") or 0)}
        if iou_type == "segm" and isinstance(row["segmentation"], list):
            row["segmentation"] = checked(row["segmentation"], None)
            if not row["segmentation"]:
                continue  # polygons of fewer than three points
        if iou_type == "bbox" and row.get("area") is None:
            row["area"] = row["bbox"][2] * row["bbox"][3]
        objects.append(row)
    return objects
