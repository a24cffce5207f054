"""What single-stage detectors share: one network classifies and moves every anchor at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from fastcv.models.detection._detector import Detector
from fastcv.nn.detection.box_coder import BoxCoder
from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.detection.dense_head import Candidates, found_boxes
from fastcv.nn.detection.transform import DetectionTransform, ImageBatch, resize_boxes


class DenseOutput(NamedTuple):
    """The network's outputs for every anchor, level by level."""

    batch: ImageBatch
    logits: list[Tensor]
    """``[B, N_l, classes]`` for each level."""
    deltas: list[Tensor]
    """``[B, N_l, 4]``."""
    anchors: list[Tensor]
    """``[N_l, 4]`` in pixels of the batch, the same for all images."""


class DenseDetector(Detector):
    """A backbone, a head over its maps, and anchors.

    A subclass writes ``loss`` and ``detect``.

    Args:
        backbone: normalised images ``[B, 3, H, W]`` to feature maps by name.
        head: a list of maps to logits and offsets, each ``[B, N_l, ...]`` for each level.
        anchor_generator: ``((height, width), maps) -> anchors``, ``[N_l, 4]`` for each level.
        transform: images of any sizes to one normalised batch.
        box_coder: of the offsets.
        classes: names by label; the first is the background.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        anchor_generator: nn.Module,
        transform: DetectionTransform,
        box_coder: BoxCoder,
        classes: Sequence[str],
    ) -> None:
        super().__init__()
        self.transform = transform
        self.backbone = backbone
        self.anchor_generator = anchor_generator
        self.head = head
        self.box_coder = box_coder
        self.classes = tuple(classes)

    def forward(self, images: Sequence[Tensor] | Tensor) -> DenseOutput:
        """The network's outputs.

        Args:
            images: a list of ``[3, H, W]`` of any sizes, or ``[B, 3, H, W]``; floating, in [0, 1].

        Raises:
            TypeError, ValueError: images of another kind or shape.
        """
        batch = self.transform(images)
        return DenseOutput(batch, *self.dense(batch.tensors))

    def dense(self, tensors: Tensor) -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
        """Logits, offsets and anchors of every level; shapes depend on the batch's alone.

        Args:
            tensors: ``[B, 3, H, W]``, normalised and padded.
        """
        maps = list(self.backbone(tensors).values())
        logits, deltas = self.head(maps)
        return logits, deltas, self.anchor_generator(tensors.shape[-2:], maps)

    def found(
        self, output: DenseOutput, candidates: Sequence[Candidates], **options: Any
    ) -> list[FoundBoxes]:
        """Boxes of each image, in its own pixels, of its candidates.

        Args:
            output: of ``forward``.
            candidates: for each image, by the number of the anchor over all levels.
            options: what ``found_boxes`` takes.
        """
        deltas, anchors = torch.cat(output.deltas, dim=1), torch.cat(output.anchors)
        batch, found = output.batch, []
        for image_candidates, offsets, size, original_size in zip(
            candidates, deltas, batch.sizes, batch.original_sizes, strict=True
        ):
            kept = found_boxes(image_candidates, offsets, anchors, self.box_coder, size, **options)
            found.append(kept._replace(boxes=resize_boxes(kept.boxes, size, original_size)))
        return found
