"""What detectors share that classify and refine boxes which something else proposed."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from fastcv.models.detection._detector import Detector
from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.detection.roi_heads import RoIHeads
from fastcv.nn.detection.transform import ImageBatch, resize_boxes


class TwoStageOutput(Protocol):
    """A batch, its proposals and the second stage's outputs for them.

    The outputs are None in training, where ``loss`` runs the second stage on samples.
    """

    @property
    def batch(self) -> ImageBatch: ...
    @property
    def proposals(self) -> Any: ...
    @property
    def class_logits(self) -> Tensor | None: ...
    @property
    def box_deltas(self) -> Tensor | None: ...


class TwoStageDetector(Detector):
    """``detect`` and ``postprocess`` of a detector with ``roi_heads``."""

    roi_heads: RoIHeads

    def detect(
        self,
        output: TwoStageOutput,
        *,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.5,
        max_detections: int = 100,
    ) -> list[FoundBoxes]:
        """Boxes of each image, in its own pixels, by falling score: tensors, for export.

        Args:
            output: of ``forward`` in eval mode.
            score_threshold: a class's probability must be above it.
            iou_threshold: the lesser of two boxes of a class that overlap more is dropped.
            max_detections: of an image, at most.

        Raises:
            ValueError: ``output`` is of training mode.
        """
        if output.class_logits is None or output.box_deltas is None:
            raise ValueError(
                "output is of training mode, which stops at the proposals: eval() first"
            )
        batch = output.batch
        found = self.roi_heads.detect(
            output.class_logits,
            output.box_deltas,
            output.proposals,
            batch.sizes,
            score_threshold=score_threshold,
            iou_threshold=iou_threshold,
            max_detections=max_detections,
        )
        return [
            FoundBoxes(resize_boxes(boxes, size, original_size), scores, labels)
            for (boxes, scores, labels), size, original_size in zip(
                found, batch.sizes, batch.original_sizes, strict=True
            )
        ]
