"""How well faces are found: COCO's metrics of their boxes, and how far landmarks are off."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fastcv.metrics.coco import coco_metrics
from fastcv.metrics.coco import predictions as predictions_of
from fastcv.ops import box_iou

if TYPE_CHECKING:
    from fastcv.data.protocols import DatasetWithClasses
    from fastcv.models.landmarks._face_detector import FaceDetector

MATCHED = 0.5  # IoU from which on a box is a face's, as in WIDER FACE


def evaluate_faces(
    model: FaceDetector,
    dataset: DatasetWithClasses,
    *,
    batch_size: int = 1,
    progress: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """COCO's metrics of the faces' boxes and the error of their landmarks; fits ``evaluate``.

    Args:
        model: its results are ``Faces``.
        dataset: as for ``evaluate_detector``, with ``keypoints`` ``[N, 5, 3]`` in the targets.
        batch_size, progress, options: as for ``evaluate_detector``.

    Returns:
        As ``coco_metrics`` of boxes (``AP50`` is what WIDER FACE calls AP), and ``NME``: the mean
        distance of the landmarks in shares of the distance between the eyes, over the faces that
        are found (IoU of at least 0.5, the surest box) and have all five; NaN where there are none.

    Raises:
        ValueError: the targets have no keypoints, or not five.

    Source: Yang et al., "WIDER FACE" (2016), for the boxes.

    Example:
        >>> from fastcv.data import DrawnFaces
        >>> from fastcv.metrics import evaluate_faces
        >>> from fastcv.models import create_model
        >>> model = create_model("retinaface_mobilenet025")
        >>> metrics = evaluate_faces(model, DrawnFaces("val", length=1), score_threshold=0.99)
        >>> metrics["AP"], metrics["NME"]  # of random weights
        (0.0, nan)
    """
    names = getattr(dataset, "keypoint_names", ())
    if len(names) != len(model.schema):
        raise ValueError(
            f"the targets must have the {len(model.schema)} keypoints of the model, they have "
            f"{len(names)}"
        )
    truth, found = predictions_of(model, dataset, "keypoints", batch_size, progress, options)
    errors: list[float] = []
    for (_, target), result in zip(truth.items, found, strict=True):
        errors += landmark_errors(target, result.to_coco(0))
    nme = sum(errors) / len(errors) if errors else math.nan
    return {**coco_metrics(truth, found), "NME": nme}


def landmark_errors(target: dict[str, Any], rows: list[dict[str, Any]]) -> list[float]:
    """Of each face that is found and has all five landmarks: their mean distance, as above.

    Args:
        target: ``boxes`` ``[N, 4]`` and ``keypoints`` ``[N, 5, 3]``.
        rows: as ``Faces.to_coco`` has them, by falling score.
    """
    if not rows or len(target["boxes"]) == 0:
        return []
    boxes = torch.tensor([row["bbox"] for row in rows])
    boxes[:, 2:] += boxes[:, :2]
    points = torch.tensor([row["keypoints"] for row in rows]).reshape(len(rows), -1, 3)[..., :2]
    errors = []
    overlaps = box_iou(target["boxes"].float(), boxes)
    free = torch.ones(len(rows), dtype=torch.bool)
    for overlap, keypoints in zip(overlaps, target["keypoints"], strict=True):
        hits = ((overlap >= MATCHED) & free).nonzero().flatten()
        if len(hits) == 0 or not bool((keypoints[:, 2] > 0).all()):
            continue
        free[hits[0]] = False  # a box is one face's
        errors.append(_error(points[hits[0]], keypoints[:, :2].float()))
    return errors


def _error(points: Tensor, true: Tensor) -> float:
    """Mean distance of ``[5, 2]`` points, the eyes first, in distances of the true eyes."""
    between_eyes = (true[0] - true[1]).norm()
    return float((points - true).norm(dim=1).mean() / between_eyes)
