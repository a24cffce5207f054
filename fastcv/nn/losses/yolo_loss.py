"""The loss of YOLO v1: squared errors, of the cells and boxes that answer for an object or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from fastcv.ops import box_convert, box_iou


class CellPredictions(NamedTuple):
    """The predictions of S x S cells."""

    boxes: Tensor
    """``[N, S, S, B, 4]``: x and y of the centre within the cell, in cells, and the square roots of
    width and height in parts of the image."""
    confidence: Tensor
    """``[N, S, S, B]``: whether there is an object, times how well the box fits."""
    classes: Tensor
    """``[N, S, S, C]``: which object it is, if there is one."""

    def decoded(self) -> Tensor:
        """``[N, S, S, B, 4]`` as ``(cx, cy, w, h)`` in parts of the image."""
        size = self.boxes.shape[1]
        at = torch.arange(size, device=self.boxes.device)
        y, x = torch.meshgrid(at, at, indexing="ij")
        corner = torch.stack([x, y], dim=-1)[:, :, None]
        centre = (self.boxes[..., :2] + corner) / size
        return torch.cat([centre, self.boxes[..., 2:].square()], dim=-1)


class Responsible(NamedTuple):
    """Which predictions answer for the objects of a batch."""

    image: Tensor
    """``[K]`` int64, and where in it:"""
    row: Tensor
    column: Tensor
    box: Tensor
    """``[K]``, which of the cell's boxes."""
    iou: Tensor
    """``[K]``, of that box with the object."""
    label: Tensor
    """``[K]``, of the object, from 0."""
    target: Tensor
    """``[K, 4]``, the object's ``(cx, cy, w, h)`` in parts of the image."""


@dataclass(frozen=True)
class YOLOLoss:
    """The five terms of the paper.

    Args:
        lambda_coord: weight of the two terms of the boxes.
        lambda_noobj: weight of the confidence of boxes that answer for nothing.

    Source: Redmon et al., "You Only Look Once" (2016), equation 3.

    Example:
        >>> import torch
        >>> from fastcv.nn.losses.yolo_loss import CellPredictions, YOLOLoss
        >>> nothing = CellPredictions(*(torch.zeros(1, 2, 2, *n) for n in ((1, 4), (1,), (3,))))
        >>> objects = [(torch.tensor([2]), torch.tensor([[0.75, 0.25, 0.25, 0.25]]))]
        >>> YOLOLoss()(nothing, objects)  # centred in its cell; the square root of a side is 0.5
        {'loss_xy': tensor(2.5000), 'loss_wh': tensor(2.5000), 'loss_object': tensor(0.),
        'loss_no_object': tensor(0.), 'loss_class': tensor(1.)}
    """

    lambda_coord: float = 5.0
    lambda_noobj: float = 0.5

    @torch.no_grad()
    def responsible(
        self, predictions: CellPredictions, objects: Sequence[tuple[Tensor, Tensor]]
    ) -> Responsible:
        """For each object a cell, that of its centre, and the box there that fits it best.

        A cell answers for one object, the first of those whose centres it has. Where no box of it
        overlaps the object, the nearest one by squared differences is taken.

        Args:
            predictions: of the network.
            objects: for each image labels ``[K]`` int64 from 0, and boxes ``[K, 4]`` as
                ``(cx, cy, w, h)`` in parts of the image.
        """
        size = predictions.boxes.shape[1]
        labels, targets, places = [], [], []
        for i, (label, boxes) in enumerate(objects):
            cells = (boxes[:, :2] * size).long().clamp(0, size - 1).tolist()
            first: dict[tuple[int, int], int] = {}
            for k, (column, row) in enumerate(cells):
                first.setdefault((row, column), k)
            places += [(i, row, column) for row, column in first]
            labels.append(label[list(first.values())])
            targets.append(boxes[list(first.values())])
        device = predictions.boxes.device
        image, row, column = torch.tensor(places, device=device).reshape(-1, 3).long().unbind(1)
        label, target = torch.cat(labels), torch.cat(targets)
        predicted = predictions.decoded()[image, row, column]  # [K, B, 4]
        repeated = target[:, None].expand_as(predicted)
        iou = _paired_iou(predicted, repeated)
        distance = (predicted - repeated).square().sum(dim=-1)
        fitness = torch.where(iou.amax(dim=1, keepdim=True) > 0, iou, -distance)
        box = fitness.argmax(dim=1)
        best_iou = iou.gather(1, box[:, None])[:, 0]
        return Responsible(image, row, column, box, best_iou, label, target)

    def __call__(
        self, predictions: CellPredictions, objects: Sequence[tuple[Tensor, Tensor]]
    ) -> dict[str, Tensor]:
        """The terms, weighted: sums over cells and boxes, means over images.

        Args:
            predictions, objects: as in ``responsible``.

        Returns:
            ``loss_xy``, ``loss_wh``, ``loss_object`` (the confidence of a responsible box should be
            its IoU), ``loss_no_object``, ``loss_class``.
        """
        images, size = predictions.boxes.shape[:2]
        image, row, column, box, iou, label, target = self.responsible(predictions, objects)
        boxes = predictions.boxes[image, row, column, box]
        confidence = predictions.confidence[image, row, column, box]
        classes = predictions.classes[image, row, column]
        cell = torch.stack([column, row], dim=1)
        one_hot = torch.zeros_like(classes).scatter_(1, label[:, None], 1.0)
        xy = (boxes[:, :2] - (target[:, :2] * size - cell)).square().sum()
        wh = (boxes[:, 2:] - target[:, 2:].sqrt()).square().sum()
        background = predictions.confidence.square().sum() - confidence.square().sum()
        terms = {
            "loss_xy": self.lambda_coord * xy,
            "loss_wh": self.lambda_coord * wh,
            "loss_object": (confidence - iou).square().sum(),
            "loss_no_object": self.lambda_noobj * background,
            "loss_class": (classes - one_hot).square().sum(),
        }
        return {name: term / images for name, term in terms.items()}


def _paired_iou(predicted: Tensor, targets: Tensor) -> Tensor:
    """``[K, B]`` of two ``[K, B, 4]`` as ``(cx, cy, w, h)``."""
    pairs = [
        box_iou(box_convert(a, "cxcywh", "xyxy"), box_convert(b[:1], "cxcywh", "xyxy"))[:, 0]
        for a, b in zip(predicted, targets, strict=True)
    ]
    return torch.stack(pairs) if pairs else predicted.new_zeros(predicted.shape[:2])
