"""How near points of a surface are to the true ones: geodesic point similarity, and its AP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from fastcv.metrics._batches import targets_and_results
from fastcv.nn.detection.targets import single_objects
from fastcv.ops import box_iou
from fastcv.results import DenseCorrespondence

if TYPE_CHECKING:
    from fastcv.data.protocols import SizedDataset
    from fastcv.models import Model

KAPPA = 0.255  # metres on a person, at which a point still counts 0.61
THRESHOLDS = tuple(0.5 + 0.05 * i for i in range(10))
MIN_IOU = 0.5  # of a found box, for its points to be compared one by one

Distance = Callable[[Tensor, Tensor], Tensor]
"""Of surface points ``[..., 3]`` (I, U, V) from others, on the surface: ``[...]``, maybe inf."""


def geodesic_point_similarity(distances: Tensor, kappa: float = KAPPA) -> Tensor:
    """``exp(-d^2 / (2 kappa^2))``: 1 where a point is exact, 0 where it is infinitely far.

    Args:
        distances: along the surface, of any shape.
        kappa: the distance at which 0.61 is left; 0.255 is DensePose-COCO's, in metres.

    Source: Guler et al., "DensePose: Dense Human Pose Estimation In The Wild" (2018), section 2.2.

    Example:
        >>> import torch
        >>> from fastcv.metrics import geodesic_point_similarity
        >>> geodesic_point_similarity(torch.tensor([0.0, 0.255, float("inf")]))
        tensor([1.0000, 0.6065, 0.0000])
    """
    return torch.exp(-distances.square() / (2 * kappa**2))


def distance_in_chart(points: Tensor, others: Tensor) -> Tensor:
    """What is known without the surface: the distance in U and V; infinite between charts.

    Args:
        points: ``[..., 3]``, I, U and V.
        others: likewise.
    """
    distance = (points[..., 1:] - others[..., 1:]).norm(dim=-1)
    return distance.masked_fill(points[..., 0] != others[..., 0], torch.inf)


class DenseCorrespondenceMetrics:
    """Average precision by geodesic point similarity (GPS), and what it is made of.

    The GPS of a found object and a true one is the mean over the points annotated on the true one;
    a point that the found object has nothing at counts 0. The surest find chooses first, of the
    true objects that are left, the one with the greatest GPS.

    Args:
        distance: between points ``[..., 3]`` (I, U, V) and others, along the surface, in the units
            of ``kappa``.
        kappa: as of ``geodesic_point_similarity``.

    Source: Guler et al., "DensePose: Dense Human Pose Estimation In The Wild" (2018), section 2.2.

    Example:
        >>> import torch
        >>> from fastcv.metrics import DenseCorrespondenceMetrics
        >>> from fastcv.results import DenseCorrespondence
        >>> boxes, label = torch.tensor([[0.0, 0.0, 4.0, 2.0]]), torch.tensor([1])
        >>> target = {
        ...     "boxes": boxes, "labels": label, "dense_uv": torch.tensor([[[0.5, 0.5]] * 2]),
        ...     "dense_keypoints": torch.tensor([[[1.0, 1.0, 1.0], [3.0, 1.0, 2.0]]]),
        ... }
        >>> surface = torch.tensor([1.0, 0.5, 0.5])[:, None, None].expand(3, 2, 4)
        >>> found = DenseCorrespondence(  # all of it is on chart 1
        ...     boxes, torch.tensor([0.9]), label, ("background", "person"), (2, 4),
        ...     surfaces=(surface,), charts=2,
        ... )
        >>> metrics = DenseCorrespondenceMetrics()
        >>> metrics.add(target, found)
        >>> values = metrics.compute()
        >>> values["GPS"], values["I_accuracy"], values["AP50"], values["AP75"]
        (0.5, 0.5, 1.0, 0.0)
    """

    def __init__(self, distance: Distance = distance_in_chart, kappa: float = KAPPA) -> None:
        self.distance = distance
        self.kappa = kappa
        self.by_gps, self.by_iou = _Matches(), _Matches()
        self.gps: list[float] = []
        self.right: list[Tensor] = []  # of the points of each object that was found
        self.errors: list[Tensor] = []  # in U and V, of those that are right

    def add(self, target: Mapping[str, Any], found: DenseCorrespondence) -> None:
        """Count an image.

        Args:
            target: ``boxes``, ``labels``, ``dense_keypoints`` and ``dense_uv`` as
                ``DensePoseBranch`` has them. Crowds are left out, and objects without a point.
            found: of the image.
        """
        found = found.to("cpu")
        boxes, labels, points = _objects(target)
        iou = box_iou(boxes, found.boxes.to(boxes))
        gps = torch.zeros_like(iou)
        for i, (places, true) in enumerate(points):
            nearest = found.at(places)  # [N, P, 3]
            apart = self.distance(nearest, true.expand_as(nearest))
            apart = apart.masked_fill(nearest[..., 0] == 0, torch.inf)
            gps[i] = geodesic_point_similarity(apart, self.kappa).mean(dim=1)
            overlap = iou[i] * (found.labels == labels[i])
            if len(found) and overlap.max() >= MIN_IOU:
                best = int(overlap.argmax())
                right = nearest[best, :, 0] == true[:, 0]
                self.gps.append(float(gps[i, best]))
                self.right.append(right)
                self.errors.append((nearest[best, right, 1:] - true[right, 1:]).abs().flatten())
        self.by_gps.add(gps, labels, found.scores, found.labels)
        self.by_iou.add(iou, labels, found.scores, found.labels)

    def compute(self) -> dict[str, float]:
        """What was found so far.

        Returns:
            ``AP``: the mean over GPS of at least 0.5, 0.55, ... 0.95 and over classes, of the
            precision at 101 recalls; ``AP50``, ``AP75``; ``box_AP``: of the boxes' IoU in place of
            GPS. Of the true objects that a box of their class overlaps by an IoU of at least 0.5:
            ``GPS``, the mean; ``I_accuracy``, the share of their points on the right chart;
            ``UV_error``, the mean of the absolute errors of U and of V of those. Where there are no
            such objects or points, the last three are left out.

        Raises:
            ValueError: there was no object with a point.
        """
        by_gps = self.by_gps.average_precisions()
        by_iou = self.by_iou.average_precisions()
        values = {
            "AP": sum(by_gps) / len(by_gps),
            "AP50": by_gps[0],
            "AP75": by_gps[5],
            "box_AP": sum(by_iou) / len(by_iou),
        }
        if self.gps:
            values["GPS"] = sum(self.gps) / len(self.gps)
            values["I_accuracy"] = float(torch.cat(self.right).double().mean())
        if any(len(errors) for errors in self.errors):
            values["UV_error"] = float(torch.cat(self.errors).double().mean())
        return values


def _objects(
    target: Mapping[str, Any],
) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor]]]:
    """Boxes and labels of the objects with points that are no crowds, and these points.

    Points are ``[P, 2]``, where they are in the picture, and ``[P, 3]``, I, U and V.
    """
    keypoints = target["dense_keypoints"].cpu()
    uv = target["dense_uv"].cpu()
    counted = (keypoints[..., 2] > 0).any(dim=1)
    single = single_objects(target)
    if single is not None:
        counted &= single.cpu()
    points = []
    for places, own in zip(keypoints[counted], uv[counted], strict=True):
        there = places[:, 2] > 0
        true = torch.cat([places[there, 2:], own[there].to(places)], dim=1)
        points.append((places[there, :2], true))
    return target["boxes"].cpu()[counted], target["labels"].cpu()[counted], points


class _Matches:
    """Finds and true objects of all images, and how similar those of an image are."""

    def __init__(self) -> None:
        self.objects: dict[int, int] = {}  # how many true ones, by label
        # By label, of each find its score, and for each threshold whether an object is its.
        self.finds: dict[int, list[tuple[float, list[bool]]]] = {}

    def add(self, similarity: Tensor, labels: Tensor, scores: Tensor, found_labels: Tensor) -> None:
        """An image, with ``similarity`` ``[true objects, finds]``."""
        for label in {*labels.tolist(), *found_labels.tolist()}:
            true, found = labels == label, found_labels == label
            self.objects[label] = self.objects.get(label, 0) + int(true.sum())
            own_scores, order = scores[found].sort(descending=True, stable=True)
            hits = _hits(similarity[true][:, found][:, order])
            rows = self.finds.setdefault(label, [])
            rows += zip(own_scores.tolist(), hits, strict=True)

    def average_precisions(self) -> list[float]:
        """For each threshold, the mean over the labels that there are objects of.

        Raises:
            ValueError: there are no objects.
        """
        labels = [label for label, number in self.objects.items() if number]
        if not labels:
            raise ValueError("there are no objects with points to measure on")
        means = torch.zeros(len(THRESHOLDS), dtype=torch.float64)
        for label in labels:
            rows = sorted(self.finds.get(label, []), key=lambda row: -row[0])
            for t in range(len(THRESHOLDS)):
                means[t] += average_precision([hits[t] for _, hits in rows], self.objects[label])
        return [float(mean) for mean in means / len(labels)]


def _hits(similarity: Tensor) -> list[list[bool]]:
    """For each find, in their order, whether a true object is its, at each threshold.

    Args:
        similarity: ``[true objects, finds]``.
    """
    hits = [[False] * len(THRESHOLDS) for _ in range(similarity.shape[1])]
    for t, threshold in enumerate(THRESHOLDS):
        left = similarity.clone()
        for find in range(similarity.shape[1]):
            if len(left) and left[:, find].max() >= threshold:
                left[int(left[:, find].argmax())] = -1  # nobody else's
                hits[find][t] = True
    return hits


def average_precision(hits: list[bool], objects: int) -> float:
    """The mean over the recalls 0, 0.01, ... 1 of the greatest precision from there on.

    Args:
        hits: of all finds, the surest first, whether they are right.
        objects: how many there are to find.

    Example:
        >>> from fastcv.metrics.dense_correspondence import average_precision
        >>> average_precision([True, False], objects=2)  # up to a recall of 0.5
        0.504950495049505
    """
    if not hits:
        return 0.0
    right = torch.tensor(hits, dtype=torch.float64).cumsum(dim=0)
    precision = right / torch.arange(1, len(hits) + 1)
    from_there_on = precision.flip(0).cummax(dim=0).values.flip(0)
    recalls = torch.linspace(0, 1, 101, dtype=torch.float64)
    first = torch.searchsorted(right / objects, recalls)
    return float(torch.cat([from_there_on, torch.zeros(1)])[first].mean())


def evaluate_dense_correspondence(
    model: Model,
    dataset: SizedDataset,
    *,
    batch_size: int = 1,
    progress: bool = False,
    **options: Any,
) -> dict[str, float]:
    """The metrics of a model of dense pose on a dataset; fits ``fit``'s ``evaluate``.

    Args:
        model: its results are ``DenseCorrespondence``.
        dataset: items ``(image, target)``, such as ``DrawnBodies``; each is read once. Its
            ``surface_distance``, where it has one, is the distance between points of the surface,
            otherwise ``distance_in_chart``.
        batch_size: images at a time; larger batches pad images more, which can change results.
        progress: show a bar.
        options: for ``predict``, such as ``score_threshold``.

    Returns:
        As ``DenseCorrespondenceMetrics.compute``.

    Raises:
        ValueError: another model, or no object with a point.

    Example:
        >>> from fastcv.data import DrawnBodies
        >>> from fastcv.metrics import evaluate_dense_correspondence
        >>> from fastcv.models import create_model
        >>> model = create_model("densepose_rcnn_resnet18_fpn", charts=6, width=8, min_size=64)
        >>> scenes = DrawnBodies("val", length=1)
        >>> evaluate_dense_correspondence(model, scenes, score_threshold=0.99)["AP"]  # at random
        0.0
    """
    metrics = DenseCorrespondenceMetrics(getattr(dataset, "surface_distance", distance_in_chart))
    for target, found in targets_and_results(
        model, dataset, batch_size=batch_size, progress=progress, options=options
    ):
        if not isinstance(found, DenseCorrespondence):
            given = type(found).__name__
            raise ValueError(
                f"model must be one of dense pose: {type(model).__name__} gives {given}"
            )
        metrics.add(target, found)
    return metrics.compute()
