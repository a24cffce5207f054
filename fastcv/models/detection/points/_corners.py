"""What CornerNet and CenterNet's triplets share: the losses of their points, boxes by soft NMS."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, TypeVar

import torch
from torch import Tensor

from fastcv.models.detection.points._detector import PointDetector, PointOutput
from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.detection.transform import resize_boxes
from fastcv.nn.points.corner_pairs import Pairs
from fastcv.nn.points.heatmaps import PointTargets, at_cells, gaussian_radius, point_targets
from fastcv.nn.points.losses import heatmap_focal_loss, offset_loss, pull_push_loss
from fastcv.ops import batched_soft_nms

PULL_WEIGHT = PUSH_WEIGHT = 0.1
DIAMETERS_PER_SIGMA = {"top_left": 6.0, "bottom_right": 6.0, "center": 5.0}


Points = TypeVar("Points", bound=Any)


class CornerDetector(PointDetector[Points]):
    """A detector whose maps are of points by name, ``top_left`` and ``bottom_right`` among them.

    Args: as for ``PointDetector``.
    """

    def loss(self, output: PointOutput[Points], targets: list[dict[str, Any]]) -> dict[str, Tensor]:
        """The four terms of the paper, the mean over the backbone's stacks.

        Args:
            output: of ``forward``.
            targets: for each image ``boxes`` ``[N, 4]`` in its pixels, ``labels`` ``[N]`` int64,
                1 and up, and where there are crowds ``iscrowd`` ``[N]``: these are left out.

        Returns:
            ``loss_heatmap`` and ``loss_offset``, sums over the kinds of points; ``loss_pull`` and
            ``loss_push``, means over the images, weighted by 0.1.

        Raises:
            ValueError: a target that cannot be right; the sentence names the image and the box.

        Source: Law and Deng, "CornerNet" (2018), equations 1 to 6.
        """
        first: Points = output.stacks[0]
        _, classes, height, width = first.top_left.heatmap.shape
        boxes, channels = self.objects(output.batch, targets, (height, width))
        radii = [gaussian_radius(b[:, 2:] - b[:, :2]) for b in boxes]
        targets_of = {
            name: point_targets(
                [points_of(b)[name] for b in boxes],
                channels,
                radii,
                (classes, height, width),
                DIAMETERS_PER_SIGMA[name],
            )
            for name in first._fields
        }
        terms: dict[str, Tensor] = {}
        for maps in output.stacks:
            for name, target in targets_of.items():
                predicted = getattr(maps, name)
                offset = at_cells(predicted.offset, target.image, target.cell)
                for term, value in (
                    ("loss_heatmap", heatmap_focal_loss(predicted.heatmap, target.heatmap)),
                    ("loss_offset", offset_loss(offset, target.offset)),
                ):
                    terms[term] = terms.get(term, 0) + value / len(output.stacks)
            pull, push = self._embedding_losses(maps, targets_of)
            terms["loss_pull"] = terms.get("loss_pull", 0) + PULL_WEIGHT * pull / len(output.stacks)
            terms["loss_push"] = terms.get("loss_push", 0) + PUSH_WEIGHT * push / len(output.stacks)
        return terms

    @staticmethod
    def _embedding_losses(
        maps: Points, targets_of: dict[str, PointTargets]
    ) -> tuple[Tensor, Tensor]:
        image = targets_of["top_left"].image
        first, second = (
            at_cells(getattr(maps, name).embedding, image, targets_of[name].cell)[:, 0]
            for name in ("top_left", "bottom_right")
        )
        count = len(maps.top_left.heatmap)
        losses = [pull_push_loss(first[image == i], second[image == i]) for i in range(count)]
        pull, push = zip(*losses, strict=True)
        return torch.stack(pull).mean(), torch.stack(push).mean()

    @abstractmethod
    def pairs(self, output: PointOutput[Points]) -> Pairs:
        """The boxes that the last stack's points make, in cells."""

    def detect(
        self,
        output: PointOutput[Points],
        *,
        score_threshold: float = 0.05,
        sigma: float = 0.5,
        max_detections: int = 100,
    ) -> list[FoundBoxes]:
        """Boxes of each image, in its own pixels, by falling score: tensors, for export.

        Args:
            output: of ``forward``.
            score_threshold: a box's score must be above it, after soft NMS too.
            sigma: of the Gaussian soft NMS within each class: the larger, the milder.
            max_detections: of an image, at most.
        """
        batch, pairs = output.batch, self.pairs(output)
        heatmap = output.stacks[-1].top_left.heatmap
        cells = (heatmap.shape[2], heatmap.shape[3])
        all_boxes = resize_boxes(
            pairs.boxes, cells, (batch.tensors.shape[2], batch.tensors.shape[3])
        )
        found = []
        for i, scores in enumerate(pairs.scores):
            possible = scores > score_threshold
            boxes, scores, channels = (
                x[possible] for x in (all_boxes[i].to(scores.dtype), scores, pairs.channels[i])
            )
            keep, scores = batched_soft_nms(
                boxes, scores, channels, "gaussian", sigma=sigma, score_threshold=score_threshold
            )
            keep, scores = keep[:max_detections], scores[:max_detections]
            found.append(self.found_boxes(batch, i, boxes[keep], scores, channels[keep]))
        return found


def points_of(boxes: Tensor) -> dict[str, Tensor]:
    """The points of boxes ``[N, 4]`` by name, ``[N, 2]`` each."""
    return {
        "top_left": boxes[:, :2],
        "bottom_right": boxes[:, 2:],
        "center": (boxes[:, :2] + boxes[:, 2:]) / 2,
    }
