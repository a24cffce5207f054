"""How good a segmenter is: intersection over union, accuracies, and how well borders are met."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from tqdm import tqdm

from fastcv.classes import IGNORE
from fastcv.results import Segmentation

if TYPE_CHECKING:
    from fastcv.data.protocols import SizedDataset
    from fastcv.models import Model

TOLERANCE = 0.0075  # of the image's diagonal, as in the paper


class SegmentationMetrics:
    """IoU, accuracies and the boundary F-measure of a stream of label maps.

    What is kept does not grow with the images: a matrix of the classes and a few sums.

    The boundary F-measure of a class in an image is ``2 P R / (P + R)``: P is the share of the
    predicted boundary that lies within 0.75 % of the image's diagonal of the true one (the
    Euclidean distance between pixels), R the share of the true boundary that lies so near the
    predicted one. A class's boundary is those of its pixels that have another class to the left,
    to the right, above or below; pixels that do not count bound nothing. Where only one of the
    two has a boundary, F is 0; where neither has, the class is left out.

    Args:
        num_classes: C.

    Source: Long et al., "Fully Convolutional Networks" (2015), section 5, for IoU and accuracies;
        Csurka et al., "What is a good evaluation measure for semantic segmentation?" (2013), for F.

    Example:
        >>> import torch
        >>> from fastcv.metrics import SegmentationMetrics
        >>> metrics = SegmentationMetrics(3)
        >>> metrics.add(torch.tensor([[0, 0, 1, 1]]), torch.tensor([[0, 1, 1, 255]]))
        >>> found = metrics.compute()
        >>> found["miou"], found["iou_by_class"], f"{found['pixel_acc']:.3f}"
        (0.5, [0.5, 0.5, None], '0.667')
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.confusion = torch.zeros(num_classes, num_classes, dtype=torch.int64)
        # Of each class: the sum of F, and the images that it is of.
        self.boundary = torch.zeros(num_classes, 2, dtype=torch.float64)
        self.image_sum, self.images = 0.0, 0  # of an image: the mean F of its classes

    def add(self, labels: Tensor, targets: Tensor) -> None:
        """Count an image or a batch.

        Args:
            labels: the predictions, ``[H, W]`` or ``[B, H, W]``, integers.
            targets: the truth, of the same shape; pixels of 255 do not count.

        Raises:
            ValueError: shapes that differ, or a label that no class has.
        """
        labels, targets = labels.cpu().long(), targets.cpu().long()
        if labels.shape != targets.shape or labels.ndim not in (2, 3):
            raise ValueError(
                "labels and targets must be [H, W] or [B, H, W] alike, got "
                f"{list(labels.shape)} and {list(targets.shape)}"
            )
        counts = targets != IGNORE
        for name, values in (("labels", labels[counts]), ("targets", targets[counts])):
            if len(values) and not 0 <= values.min() <= values.max() < self.num_classes:
                raise ValueError(
                    f"{name} must be 0 to {self.num_classes - 1}, got {values.min()} to "
                    f"{values.max()}"
                )
        pairs = targets[counts] * self.num_classes + labels[counts]
        self.confusion += pairs.bincount(minlength=self.num_classes**2).view_as(self.confusion)
        labels = labels.where(counts, IGNORE)
        for predicted, truth in zip(_images(labels), _images(targets), strict=True):
            of_class = boundary_f(predicted, truth)
            for label, f in of_class.items():
                self.boundary[label] += torch.tensor([f, 1])
            if of_class:
                self.image_sum += sum(of_class.values()) / len(of_class)
                self.images += 1

    def compute(self) -> dict[str, Any]:
        """What was found so far.

        Returns:
            Numbers in [0, 1]. ``miou``: the mean over classes of intersection over union,
            without the classes that are neither predicted nor true anywhere. ``pixel_acc``: the
            share of pixels that are right. ``mean_acc``: the mean over the true classes of the
            share of their pixels. ``fw_iou``: IoU weighed by the classes' true pixels.
            ``boundary_f``: the mean over images of the mean F of their classes; None without
            any boundary. ``iou_by_class``, ``acc_by_class``, ``boundary_f_by_class``: lists, None
            for a class that is left out. ``confusion``: counts of pixels, true classes in rows.

        Raises:
            ValueError: no pixel was counted.
        """
        total = int(self.confusion.sum())
        if not total:
            raise ValueError("there are no pixels to measure on")
        right, true = self.confusion.diagonal(), self.confusion.sum(dim=1)
        union = true + self.confusion.sum(dim=0) - right
        iou, acc = _shares(right, union), _shares(right, true)
        weighed = [x * n for x, n in zip(iou, true.tolist(), strict=True) if x is not None]
        f_by_class = _shares(*self.boundary.T)
        return {
            "miou": _mean(iou),
            "pixel_acc": int(right.sum()) / total,
            "mean_acc": _mean(acc),
            "fw_iou": sum(weighed) / total,
            "boundary_f": self.image_sum / self.images if self.images else None,
            "iou_by_class": iou,
            "acc_by_class": acc,
            "boundary_f_by_class": f_by_class,
            "confusion": self.confusion.tolist(),
        }


def boundary_f(labels: Tensor, targets: Tensor) -> dict[int, float]:
    """The boundary F-measure of each class that has a boundary, see ``SegmentationMetrics``.

    Args:
        labels: ``[H, W]`` int64, the predictions; 255 where a pixel does not count.
        targets: ``[H, W]`` int64, the truth, 255 at the same pixels.
    """
    tolerance = TOLERANCE * math.hypot(*labels.shape)
    predicted, true = _boundaries(labels), _boundaries(targets)
    found = {}
    for label in sorted({*labels[predicted].tolist(), *targets[true].tolist()}):
        a, b = predicted & (labels == label), true & (targets == label)
        if a.any() and b.any():
            precision, recall = _share_near(a, b, tolerance), _share_near(b, a, tolerance)
            found[label] = 2 * precision * recall / max(precision + recall, 1e-12)
        else:
            found[label] = 0.0
    return found


def _boundaries(labels: Tensor) -> Tensor:
    """The pixels of ``[H, W]`` that have another class beside them."""
    found = torch.zeros_like(labels, dtype=torch.bool)
    for dim in (0, 1):
        n = labels.shape[dim] - 1
        a, b = labels.narrow(dim, 0, n), labels.narrow(dim, 1, n)
        differ = (a != b) & (a != IGNORE) & (b != IGNORE)
        found.narrow(dim, 0, n).logical_or_(differ)
        found.narrow(dim, 1, n).logical_or_(differ)
    return found


def _share_near(points: Tensor, others: Tensor, tolerance: float) -> float:
    """The share of points, a mask ``[H, W]``, with one of the others within the tolerance."""
    height, width = others.shape
    columns, far = torch.arange(width), height + width
    # The distance to the nearest of the others in the same row.
    left = torch.where(others, columns, -far).cummax(dim=1).values
    right = torch.where(others, columns, width + far).flip(1).cummin(dim=1).values.flip(1)
    in_row = torch.minimum(columns - left, right - columns)
    y, x = points.nonzero().T
    near = torch.zeros_like(y, dtype=torch.bool)
    reach = int(tolerance)
    for step in range(-reach, reach + 1):
        row = y + step
        inside = (row >= 0) & (row < height)
        distance = in_row[row.clamp(0, height - 1), x].square() + step**2
        near |= inside & (distance <= tolerance**2)
    return int(near.sum()) / len(near)


def _images(labels: Tensor) -> Sequence[Tensor]:
    return [labels] if labels.ndim == 2 else list(labels)


def _shares(parts: Tensor, wholes: Tensor) -> list[float | None]:
    pairs = zip(parts.tolist(), wholes.tolist(), strict=True)
    return [part / whole if whole else None for part, whole in pairs]


def _mean(values: list[float | None]) -> float:
    there = [value for value in values if value is not None]
    return sum(there) / len(there)


def evaluate_segmenter(
    model: Model,
    dataset: SizedDataset,
    *,
    progress: bool = False,
    **options: Any,
) -> dict[str, Any]:
    """IoU, accuracies and boundary F of a segmenter on a dataset; for ``fit``'s ``evaluate``.

    Args:
        model: a segmenter with ``predict`` and ``classes``.
        dataset: items ``(image, labels)``, such as ``fastcv.data.MaskFolder`` has: ``[3, H, W]`` in
            [0, 1] and ``[H, W]`` int64, 255 where a pixel does not count.
        progress: show a bar.
        options: for ``predict``, such as ``tile`` or ``scales``.

    Returns:
        As ``SegmentationMetrics.compute``.

    Raises:
        ValueError: a label that the model has no class for, no images, or no segmenter.

    Example:
        >>> import torch
        >>> from fastcv.metrics import evaluate_segmenter
        >>> from fastcv.models import create_model
        >>> model = create_model("deeplabv3plus_resnet50", num_classes=2, width=4)
        >>> data = [(torch.rand(3, 32, 40), torch.ones(32, 40, dtype=torch.int64))]
        >>> found = evaluate_segmenter(model, data)  # of random weights
        >>> 0 <= found["pixel_acc"] <= 1, found["acc_by_class"][0]
        (True, None)
    """
    metrics = SegmentationMetrics(len(model.classes))
    size = len(dataset)
    for index in tqdm(range(size), unit="image", disable=not progress):
        image, targets = dataset[index]
        (found,) = model.predict(image, **options)
        if not isinstance(found, Segmentation):
            given = type(found).__name__
            raise ValueError(f"model must be a segmenter: {type(model).__name__} gives {given}")
        metrics.add(found.labels, targets)
    return metrics.compute()
