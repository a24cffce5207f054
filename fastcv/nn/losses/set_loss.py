"""The loss of a set of boxes: each object has one prediction, which the Hungarian method finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv._extras import need
from fastcv.ops import box_convert, generalized_box_iou, generalized_box_iou_loss


@dataclass(frozen=True)
class SetLoss:
    """Matching and loss of DETR, in the same three parts.

    Args:
        class_weight: of the class: its probability in the matching, cross-entropy in the loss.
        l1_weight: of the L1 distance of the boxes.
        giou_weight: of their GIoU.
        no_object_weight: of predictions without an object in the cross-entropy, for they are many.

    Source: Carion et al., "DETR" (2020), equations 1 and 2, appendix A.2.

    Example:
        >>> import torch
        >>> from fastcv.nn.losses.set_loss import SetLoss
        >>> boxes = torch.tensor([[[0.25, 0.25, 0.5, 0.5], [0.75, 0.75, 0.5, 0.5]]])  # 2
        >>> objects = [(torch.tensor([1]), torch.tensor([[0.75, 0.75, 0.5, 0.5]]))]
        >>> loss = SetLoss()
        >>> loss.match(torch.zeros(1, 2, 3), boxes, objects)  # the second is the object
        [(tensor([1]), tensor([0]))]
        >>> loss(torch.zeros(1, 2, 3), boxes, objects)
        {'loss_ce': tensor(1.0986), 'loss_bbox': tensor(0.), 'loss_giou': tensor(0.)}
    """

    class_weight: float = 1.0
    l1_weight: float = 5.0
    giou_weight: float = 2.0
    no_object_weight: float = 0.1

    @torch.no_grad()
    def match(
        self, logits: Tensor, boxes: Tensor, objects: Sequence[tuple[Tensor, Tensor]]
    ) -> list[tuple[Tensor, Tensor]]:
        """The assignment of predictions to objects that costs least, for each image.

        Args:
            logits: ``[B, Q, classes + 1]``, the last for no object.
            boxes: ``[B, Q, 4]`` as ``(cx, cy, w, h)`` in parts of the image.
            objects: for each image labels ``[N]`` int64 and boxes ``[N, 4]``.

        Returns:
            for each image the matched predictions, ascending, and the objects they are matched
            with; ``min(Q, N)`` of each.

        Raises:
            ImportError: scipy is not installed.
        """
        assign = need("scipy.optimize", extra="train").linear_sum_assignment
        matches = []
        for image_logits, predicted, (labels, targets) in zip(logits, boxes, objects, strict=True):
            cost = self._cost(image_logits.softmax(dim=-1)[:, labels], predicted, targets)
            # A diverged network still gets a matching: its loss is what reports it.
            rows, columns = assign(cost.nan_to_num(nan=1e6).cpu().numpy())
            matches.append(
                (
                    torch.from_numpy(rows).to(logits.device),
                    torch.from_numpy(columns).to(logits.device),
                )
            )
        return matches

    def _cost(self, probability: Tensor, predicted: Tensor, targets: Tensor) -> Tensor:
        """``[Q, N]``."""
        distance = (predicted[:, None] - targets).abs().sum(dim=-1)
        giou = generalized_box_iou(_corners(predicted), _corners(targets))
        return self.l1_weight * distance - self.giou_weight * giou - self.class_weight * probability

    def __call__(
        self, logits: Tensor, boxes: Tensor, objects: Sequence[tuple[Tensor, Tensor]]
    ) -> dict[str, Tensor]:
        """The three terms, weighted.

        Args:
            logits, boxes, objects: as in ``match``.

        Returns:
            ``loss_ce``, the weighted mean over all predictions; ``loss_bbox`` and ``loss_giou``,
            the sums over the matched ones, over the number of objects in the batch.
        """
        matches = self.match(logits, boxes, objects)
        no_object = logits.shape[-1] - 1
        classes = torch.full(logits.shape[:2], no_object, device=logits.device)
        for image_classes, (rows, columns), (labels, _) in zip(
            classes, matches, objects, strict=True
        ):
            image_classes[rows] = labels[columns]
        weight = logits.new_ones(no_object + 1)
        weight[no_object] = self.no_object_weight
        predicted = torch.cat([b[rows] for b, (rows, _) in zip(boxes, matches, strict=True)])
        targets = torch.cat(
            [b[columns] for (_, b), (_, columns) in zip(objects, matches, strict=True)]
        )
        count = max(sum(len(labels) for labels, _ in objects), 1)
        l1 = (predicted - targets).abs().sum()
        # No eps: an object of 1% of each side has an area of 1e-4, which 1e-7 would change.
        giou = generalized_box_iou_loss(
            _corners(predicted), _corners(targets), reduction="sum", eps=0.0
        )
        return {
            "loss_ce": self.class_weight * F.cross_entropy(logits.transpose(1, 2), classes, weight),
            "loss_bbox": self.l1_weight * l1 / count,
            "loss_giou": self.giou_weight * giou / count,
        }


def _corners(boxes: Tensor) -> Tensor:
    return box_convert(boxes, "cxcywh", "xyxy")
