"""What detectors share that classify and refine boxes which something else proposed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from fastcv.models.detection._detector import Detector
from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.detection.roi_branch import Frame
from fastcv.nn.detection.roi_heads import RoIHeads
from fastcv.nn.detection.transform import ImageBatch, resize_boxes
from fastcv.results import Detections


class TwoStageOutput(Protocol):
    """A batch, its proposals and the second stage's outputs for them.

    The outputs are None in training, where ``loss`` runs the second stage on samples.
    """

    @property
    def batch(self) -> ImageBatch: ...
    @property
    def features(self) -> dict[str, Tensor]: ...
    @property
    def proposals(self) -> Any: ...
    @property
    def class_logits(self) -> Tensor | None: ...
    @property
    def box_deltas(self) -> Tensor | None: ...


class TwoStageDetector(Detector):
    """``detect`` and ``postprocess`` of a detector with ``roi_heads``, and of their branches."""

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
        found = self._detect_in_batch(output, score_threshold, iou_threshold, max_detections)
        frames = self._frames(output)
        return [_in_image(boxes, frame) for boxes, frame in zip(found, frames, strict=True)]

    def postprocess(self, output: TwoStageOutput, **options: Any) -> Sequence[Detections]:
        """What ``detect`` finds, as results; what the branches say of each box is in ``fields``.

        Args:
            output: of ``forward`` in eval mode.
            options: as of ``detect``.
        """
        if not self.roi_heads.branches:
            return super().postprocess(output, **options)
        found = self._detect_in_batch(output, **options)
        frames = self._frames(output)
        fields = self.roi_heads.branch_fields(output.features, found, frames)
        return [
            Detections(*_in_image(boxes, frame), self.classes, frame.original_size, fields=of_one)
            for boxes, frame, of_one in zip(found, frames, fields, strict=True)
        ]

    def onnx_outputs(self, image: Tensor) -> dict[str, Tensor]:
        output = self([image])
        (found,), (frame,) = self._detect_in_batch(output), self._frames(output)
        given = _in_image(found, frame)._asdict()
        for name, branch in self.roi_heads.branches.items():
            raw = self.roi_heads.branch_output(name, output.features, [found.boxes], [frame.size])
            given |= branch.onnx_outputs(raw, found)
        return given

    def _frames(self, output: TwoStageOutput) -> list[Frame]:
        batch = output.batch
        return [Frame(*sizes) for sizes in zip(batch.original_sizes, batch.sizes, strict=True)]

    def _detect_in_batch(
        self,
        output: TwoStageOutput,
        score_threshold: float = 0.05,
        iou_threshold: float = 0.5,
        max_detections: int = 100,
    ) -> list[FoundBoxes]:
        """``detect`` in pixels of the batch."""
        if output.class_logits is None or output.box_deltas is None:
            raise ValueError(
                "output is of training mode, which stops at the proposals: eval() first"
            )
        return self.roi_heads.detect(
            output.class_logits,
            output.box_deltas,
            output.proposals,
            output.batch.sizes,
            score_threshold=score_threshold,
            iou_threshold=iou_threshold,
            max_detections=max_detections,
        )


def _in_image(found: FoundBoxes, frame: Frame) -> FoundBoxes:
    boxes = resize_boxes(found.boxes, frame.size, frame.original_size)
    return FoundBoxes(boxes, found.scores, found.labels)
