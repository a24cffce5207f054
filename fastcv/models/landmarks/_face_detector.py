"""What models of faces share: ``detect`` finds boxes and five landmarks, results are ``Faces``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastcv.classes import FACE_LANDMARKS
from fastcv.models.landmarks._keypoint_detector import KeypointDetector
from fastcv.results import Faces


class FoundFaces(NamedTuple):
    """The faces of one image, by falling score."""

    boxes: Tensor
    """``[N, 4]``."""
    scores: Tensor
    """``[N]``."""
    labels: Tensor
    """``[N]`` int64, all 1."""
    landmarks: Tensor
    """``[N, 5, 2]`` as (x, y)."""


class FaceDetector(KeypointDetector):
    """A model that finds faces, and five landmarks of each.

    A subclass writes ``forward``, ``loss`` and ``detect``. Results, the options of ``predict`` and
    export to ONNX come with it.
    """

    classes = ("background", "face")
    schema = FACE_LANDMARKS

    detect: Callable[..., list[FoundFaces]]
    """``detect(output, *, ...)``: the faces of each image, in its own pixels, as tensors, for
    export. ``output`` is of ``forward``; the other arguments are options of ``predict``."""

    def image_sizes(self, output: Any) -> Sequence[tuple[int, int]]:
        """Height and width of each image that ``forward`` was given."""
        return output.batch.original_sizes

    def postprocess(self, output: Any, **options: Any) -> Sequence[Faces]:
        """What ``detect`` finds, as results; a face's landmarks have its score."""
        results = []
        for found, size in zip(
            self.detect(output, **options), self.image_sizes(output), strict=True
        ):
            seen = torch.ones_like(found.landmarks[..., :1])
            results.append(
                Faces(
                    found.boxes,
                    found.scores,
                    found.labels,
                    self.classes,
                    size,
                    keypoints=torch.cat([found.landmarks, seen], dim=-1),
                    keypoint_scores=found.scores[:, None].expand(-1, len(self.schema)),
                )
            )
        return results

    def onnx_outputs(self, image: Tensor) -> dict[str, Tensor]:
        (found,) = self.detect(self([image]))
        return found._asdict()

    def _option_takers(self) -> Sequence[Callable[..., Any]]:
        return (*super()._option_takers(), self.detect)
