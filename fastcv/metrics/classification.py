"""How good a classifier is: accuracy, which classes it confuses, how well it is calibrated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from tqdm import tqdm

from fastcv.results import Classification

if TYPE_CHECKING:
    from fastcv.data.protocols import SizedDataset
    from fastcv.models import Model

BINS = 15  # of the calibration error, as in the paper


class ClassificationMetrics:
    """Accuracy, confusion matrix and calibration of a stream of batches.

    What is kept does not grow with the images: a matrix of the classes and a few sums.

    Args:
        num_classes: C.

    Source: Guo et al., "On Calibration of Modern Neural Networks" (2017), section 2.

    Example:
        >>> import torch
        >>> from fastcv.metrics import ClassificationMetrics
        >>> metrics = ClassificationMetrics(3)
        >>> metrics.add(torch.tensor([[0.8, 0.1, 0.1], [0.2, 0.6, 0.2]]), torch.tensor([0, 2]))
        >>> found = metrics.compute()
        >>> found["acc@1"], f"{found['ece']:.2f}", found["confusion"]
        (0.5, '0.40', [[1, 0, 0], [0, 0, 0], [0, 1, 0]])
    """

    def __init__(self, num_classes: int) -> None:
        self.num_classes = num_classes
        self.confusion = torch.zeros(num_classes, num_classes, dtype=torch.int64)
        self.in_top5 = 0
        self.log_loss = 0.0
        # Of each bin: images, those that were right, the sum of confidences.
        self.bins = torch.zeros(BINS, 3, dtype=torch.float64)

    def add(self, scores: Tensor, labels: Tensor) -> None:
        """Count a batch.

        Args:
            scores: probabilities ``[B, C]``.
            labels: the true classes ``[B]`` int64.

        Raises:
            ValueError: other shapes, or a label that no class has.
        """
        scores, labels = scores.detach().double().cpu(), labels.cpu()
        if scores.ndim != 2 or scores.shape != (len(labels), self.num_classes):
            raise ValueError(
                f"scores must be [{len(labels)}, {self.num_classes}], got {list(scores.shape)}"
            )
        if bool(((labels < 0) | (labels >= self.num_classes)).any()):
            raise ValueError(
                f"labels must be 0 to {self.num_classes - 1}, got {labels.min()} to {labels.max()}"
            )
        confidence, predictions = scores.max(dim=1)
        pairs = labels * self.num_classes + predictions
        self.confusion += pairs.bincount(minlength=self.num_classes**2).view_as(self.confusion)
        top5 = scores.topk(min(5, self.num_classes)).indices
        self.in_top5 += int((top5 == labels[:, None]).sum())
        of_label = scores.gather(1, labels[:, None])
        self.log_loss -= float(of_label.clamp(min=torch.finfo(torch.float32).tiny).log().sum())
        bins = (confidence * BINS).ceil().long().sub(1).clamp(0, BINS - 1)  # (0, 1/M], (1/M, 2/M]
        right = (predictions == labels).double()
        rows = torch.stack([torch.ones_like(confidence), right, confidence], 1)
        self.bins.index_add_(0, bins, rows)

    def compute(self) -> dict[str, Any]:
        """What was found so far.

        Returns:
            ``acc@1``, and with more than five classes ``acc@5``: shares in [0, 1]. ``log_loss``:
            the mean cross-entropy. ``ece``: the expected calibration error, over 15 bins.
            ``acc@1_by_class``: a share for each class, None for one without images.
            ``confusion``: counts, true classes in rows. ``reliability``: for each bin ``count``,
            ``accuracy`` and ``confidence``, the last two 0 in an empty bin.

        Raises:
            ValueError: nothing was counted.
        """
        total = int(self.confusion.sum())
        if not total:
            raise ValueError("there are no images to measure on")
        right, of_class = self.confusion.diagonal(), self.confusion.sum(dim=1)
        count, hits, confidences = self.bins.T
        divisor = count.clamp(min=1)
        metrics: dict[str, Any] = {"acc@1": int(right.sum()) / total}
        if self.num_classes > 5:
            metrics["acc@5"] = self.in_top5 / total
        return metrics | {
            "log_loss": self.log_loss / total,
            "ece": float((hits - confidences).abs().sum()) / total,
            "acc@1_by_class": [
                r / n if n else None for r, n in zip(right.tolist(), of_class.tolist(), strict=True)
            ],
            "confusion": self.confusion.tolist(),
            "reliability": {
                "count": count.long().tolist(),
                "accuracy": (hits / divisor).tolist(),
                "confidence": (confidences / divisor).tolist(),
            },
        }


def evaluate_classifier(
    model: Model,
    dataset: SizedDataset,
    *,
    batch_size: int = 64,
    progress: bool = False,
) -> dict[str, Any]:
    """Accuracy, confusion and calibration of a classifier on a dataset; for ``fit``'s ``evaluate``.

    Args:
        model: a classifier with ``predict`` and ``classes``.
        dataset: items ``(image, label)``, images in [0, 1] of any sizes: ``predict`` prepares them.
        batch_size: images at a time, and in memory.
        progress: show a bar.

    Returns:
        As ``ClassificationMetrics.compute``.

    Raises:
        ValueError: a label that the model has no class for, no images, or no classifier.

    Example:
        >>> import torch
        >>> from fastcv.metrics import evaluate_classifier
        >>> from fastcv.models import create_model
        >>> model = create_model("resnet18", num_classes=2, width=8)
        >>> data = [(torch.rand(3, 32, 32), label) for label in (0, 1, 1)]
        >>> sorted(evaluate_classifier(model, data))
        ['acc@1', 'acc@1_by_class', 'confusion', 'ece', 'log_loss', 'reliability']
    """
    metrics = ClassificationMetrics(len(model.classes))
    size = len(dataset)
    for start in tqdm(range(0, size, batch_size), unit=" batches", disable=not progress):
        items = [dataset[index] for index in range(start, min(start + batch_size, size))]
        images, labels = zip(*items, strict=True)
        found = model.predict(list(images), batch_size=batch_size)
        if not isinstance(found[0], Classification):
            given = type(found[0]).__name__
            raise ValueError(f"model must be a classifier: {type(model).__name__} gives {given}")
        metrics.add(torch.stack([f.scores for f in found]), torch.tensor(labels))
    return metrics.compute()
