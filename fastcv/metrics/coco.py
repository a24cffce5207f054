"""COCO's metrics of boxes, masks and keypoints, by COCO's own evaluator."""

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
from fastcv.classes import COCO_KEYPOINTS
from fastcv.data import detection_to_coco
from fastcv.data._coco_masks import checked
from fastcv.results._rle import encode_rle

if TYPE_CHECKING:
    from fastcv.data.protocols import DatasetWithClasses
    from fastcv.models import Model
    from fastcv.models.landmarks._keypoint_detector import KeypointDetector

NAMES = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
KEYPOINT_NAMES = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")
COMPARED = {"bbox": "bbox", "segm": "segmentation", "keypoints": "keypoints"}
"""What of a row is compared, by ``iou_type``."""


class CocoResult(Protocol):
    """What one image's result must have, such as ``results.Detections``."""

    def to_coco(self, image_id: int) -> list[dict[str, Any]]: ...


def coco_metrics(
    truth: dict[str, Any] | DatasetWithClasses,
    found: Sequence[CocoResult],
    *,
    iou_type: str = "bbox",
    sigmas: Sequence[float] = COCO_KEYPOINTS.sigma_of_each,
) -> dict[str, Any]:
    """COCO's average precisions and recalls.

    Args:
        truth: ground truth in COCO's format, or a detection dataset. Ids of annotations do not
            matter; without ``iscrowd`` they are no crowds, without ``area`` it is that of the mask
            for ``"segm"``, else of the box.
        found: a result for each image of ``truth``, in its order.
        iou_type: ``"bbox"``, ``"segm"`` where results and truth have ``segmentation``, or
            ``"keypoints"`` where they have those: similarity is that of the keypoints (OKS) then.
        sigmas: of the keypoints, as a ``KeypointSchema`` has them.

    Returns:
        ``AP`` (the mean over IoU thresholds 0.5, 0.55, ... 0.95, and over classes), ``AP50``,
        ``AP75``; ``APs``, ``APm``, ``APl`` (objects up to 32x32, up to 96x96, and above); the
        average recalls ``AR1``, ``AR10``, ``AR100`` (of so many detections an image), ``ARs``,
        ``ARm``, ``ARl``: numbers in [0, 1], without those that no object of the truth counts for.
        Of keypoints there are ``AP``, ``AP50``, ``AP75``, ``APm``, ``APl``, and ``AR`` likewise, of
        20 detections an image. ``AP50_by_class``: a dict by class name.

    Raises:
        ValueError: the numbers of images differ, the truth has no objects, one of them has no
            box, no mask for ``"segm"`` or no keypoints, there is not a sigma for each keypoint, or
            ``iou_type`` is another.
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
    if iou_type not in COMPARED:
        raise ValueError(f"iou_type must be one of {', '.join(COMPARED)}, got {iou_type!r}")
    if not isinstance(truth, dict):
        truth = detection_to_coco(truth, masks=iou_type == "segm")
    if len(found) != len(truth["images"]):
        raise ValueError(
            f"found must have one result for each of the {len(truth['images'])} images, got "
            f"{len(found)}"
        )
    # The evaluators work out the area of what is compared only where they are given nothing else.
    left_out = set(COMPARED.values()) - {COMPARED[iou_type]}
    rows = [
        {key: value for key, value in row.items() if key not in left_out}
        for image, result in zip(truth["images"], found, strict=True)
        for row in result.to_coco(image["id"])
    ]
    objects = _objects(truth["annotations"], iou_type)
    if iou_type == "keypoints":
        _check_sigmas(sigmas, [*objects, *rows])
    api, evaluator, masks = _evaluators()
    with contextlib.redirect_stdout(io.StringIO()):  # they print a table
        expected = _index(api, truth, objects)
        for row in expected.dataset["annotations"]:
            if row.get("area") is None:  # only of masks: boxes have theirs already
                row["area"] = float(masks.area(expected.annToRLE(row)))
        detected = expected.loadRes(rows) if rows else _index(api, truth, [])
        evaluation = evaluator(expected, detected, iou_type)
        if iou_type == "keypoints":
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    metrics: dict[str, Any] = {
        name: float(value)
        for name, value in zip(
            KEYPOINT_NAMES if iou_type == "keypoints" else NAMES, evaluation.stats, strict=False
        )
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
    return coco_metrics(*predictions(model, dataset, "bbox", batch_size, progress, options))


def evaluate_instances(
    model: Model,
    dataset: DatasetWithClasses,
    *,
    batch_size: int = 1,
    progress: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """COCO's metrics of the masks of a model of instances; fits ``fit``'s ``evaluate``.

    Args:
        model: its results are ``Instances``.
        dataset: as for ``evaluate_detector``, with ``masks`` in the targets, such as
            ``CocoDetection(..., masks=True)``.
        batch_size, progress, options: as for ``evaluate_detector``.

    Returns:
        As ``coco_metrics`` of masks, and ``box_AP``.

    Raises:
        ValueError: the targets have no masks.

    Example:
        >>> from fastcv.data import DrawnDigits
        >>> from fastcv.metrics import evaluate_instances
        >>> from fastcv.models import create_model
        >>> model = create_model("maskrcnn_resnet18_fpn", num_classes=11, width=8, min_size=64)
        >>> scenes = DrawnDigits("val", size=(96, 96), length=1)
        >>> metrics = evaluate_instances(model, scenes, score_threshold=0.99)
        >>> metrics["AP"], metrics["box_AP"]  # of random weights
        (0.0, 0.0)
    """
    truth, found = predictions(model, dataset, "segm", batch_size, progress, options)
    expected = detection_to_coco(truth, masks=True)
    boxes = coco_metrics(expected, found)
    return {**coco_metrics(expected, found, iou_type="segm"), "box_AP": boxes["AP"]}


def evaluate_keypoints(
    model: KeypointDetector,
    dataset: DatasetWithClasses,
    *,
    batch_size: int = 1,
    progress: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """COCO's metrics of keypoints, with the sigmas of the model's schema; fits ``evaluate``.

    Args:
        model: its results are ``Keypoints``.
        dataset: as for ``evaluate_detector``, with ``keypoints`` in the targets, such as
            ``CocoDetection(..., keypoints=True)``.
        batch_size, progress, options: as for ``evaluate_detector``.

    Returns:
        As ``coco_metrics`` of keypoints, and ``box_AP``.

    Raises:
        ValueError: the targets have no keypoints, or not as many as the model.

    Example:
        >>> from fastcv.classes import DIGIT_KEYPOINTS
        >>> from fastcv.data import DrawnDigits
        >>> from fastcv.metrics import evaluate_keypoints
        >>> from fastcv.models import create_model
        >>> model = create_model(
        ...     "keypointrcnn_resnet18_fpn", num_classes=11, keypoints=DIGIT_KEYPOINTS, width=8,
        ...     keypoint_channels=16, min_size=64,
        ... )
        >>> scenes = DrawnDigits("val", size=(96, 96), length=1)
        >>> metrics = evaluate_keypoints(model, scenes, score_threshold=0.99)
        >>> metrics["AP"], metrics["box_AP"]  # of random weights
        (0.0, 0.0)
    """
    names = getattr(dataset, "keypoint_names", ())
    if len(names) != len(model.schema):
        raise ValueError(
            f"the targets must have the {len(model.schema)} keypoints of the model, they have "
            f"{len(names)}"
        )
    truth, found = predictions(model, dataset, "keypoints", batch_size, progress, options)
    expected = detection_to_coco(truth)
    keypoints = coco_metrics(
        expected, found, iou_type="keypoints", sigmas=model.schema.sigma_of_each
    )
    return {**keypoints, "box_AP": coco_metrics(expected, found)["AP"]}


def predictions(
    model: Any,
    dataset: DatasetWithClasses,
    iou_type: str,
    batch_size: int,
    progress: bool,
    options: dict[str, Any],
) -> tuple[_Targets, list[_Rows]]:
    """The targets of a data set, and what a model finds, in the same order."""
    truth, found = _Targets(dataset, iou_type), []
    size = len(dataset)
    for start in tqdm(range(0, size, batch_size), unit=" batches", disable=not progress):
        images: list[Tensor] = []
        for index in range(start, min(start + batch_size, size)):
            image, target = dataset[index]
            images.append(image)
            truth.add(image, target)
        results = model.predict(images, batch_size=batch_size, **options)
        found += [_Rows(result.to_coco(0)) for result in results]
    return truth, found


class _Rows:
    """A result as rows: its masks as tensors would not fit for all images together."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def to_coco(self, image_id: int) -> list[dict[str, Any]]:
        return [{**row, "image_id": image_id} for row in self.rows]


class _Targets:
    """The targets of a dataset as it is passed through, with images that have a size only.

    Masks are kept as RLE, and keypoints, only where they are compared.
    """

    def __init__(self, dataset: DatasetWithClasses, iou_type: str) -> None:
        self.classes, self.iou_type = dataset.classes, iou_type
        self.keypoint_names = getattr(dataset, "keypoint_names", ())
        self.items: list[tuple[Tensor, dict[str, Any]]] = []

    def add(self, image: Tensor, target: dict[str, Any]) -> None:
        dropped = {"masks", "keypoints"} - {self.iou_type}
        kept = {key: value for key, value in target.items() if key not in dropped}
        if self.iou_type == "segm" and "masks" in target:
            kept["segmentation"] = [encode_rle(mask) for mask in target["masks"]]
        self.items.append((torch.empty(image.shape, device="meta"), kept))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        return self.items[index]


def _check_sigmas(sigmas: Sequence[float], rows: list[dict[str, Any]]) -> None:
    """That there is one for each keypoint.

    Raises:
        ValueError: a row has another number of keypoints.
    """
    for row in rows:
        if len(row["keypoints"]) != 3 * len(sigmas):
            raise ValueError(
                f"sigmas must be one for each of the {len(row['keypoints']) // 3} keypoints, got "
                f"{len(sigmas)}"
            )


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
    needed = COMPARED[iou_type]
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
        if iou_type == "keypoints":
            seen = sum(v > 0 for v in row["keypoints"][2::3])
            row = {"num_keypoints": seen} | row
        if iou_type != "segm" and row.get("area") is None:
            row["area"] = row["bbox"][2] * row["bbox"][3]
        objects.append(row)
    return objects
