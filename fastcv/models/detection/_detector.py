"""What every detector shares: ``detect`` finds boxes as tensors, the rest follows from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from fastcv.models._image_model import ImageModel
from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.detection.tracks import Tracks, follow
from fastcv.results import Detections


class Detector(ImageModel):
    """A model that finds boxes.

    A subclass writes ``forward``, ``loss`` and ``detect``. Results, the options of ``predict``,
    export to ONNX and ``fastcv explain detection`` come with it.

    Example:
        >>> import torch
        >>> from fastcv.models.detection._detector import Detector
        >>> from fastcv.nn import FoundBoxes
        >>> class Middle(Detector):
        ...     classes = ("background", "middle")
        ...     def forward(self, images):
        ...         return images
        ...     def image_sizes(self, output):
        ...         return [(image.shape[1], image.shape[2]) for image in output]
        ...     def detect(self, output, *, share=0.5):
        ...         found = []
        ...         for height, width in self.image_sizes(output):
        ...             half = torch.tensor([width, height]) / 2
        ...             box = torch.cat([half * (1 - share), half * (1 + share)])[None]
        ...             found.append(FoundBoxes(box, torch.ones(1), torch.ones(1).long()))
        ...         return found
        >>> Middle().predict(torch.zeros(3, 40, 60), share=0.25)
        [Detections(1 box in 40x60: 1 middle 1.00)]
    """

    detect: Callable[..., list[FoundBoxes]]
    """``detect(output, *, ...)``: boxes of each image, in its own pixels, by falling score, as
    tensors, for export. ``output`` is of ``forward`` in eval mode; the other arguments, such as
    ``score_threshold``, are options of ``predict``."""

    def image_sizes(self, output: Any) -> Sequence[tuple[int, int]]:
        """Height and width of each image that ``forward`` was given."""
        return output.batch.original_sizes

    def postprocess(self, output: Any, **options: Any) -> Sequence[Detections]:
        """What ``detect`` finds, as results."""
        return [
            Detections(*found, self.classes, size)
            for found, size in zip(
                self.detect(output, **options), self.image_sizes(output), strict=True
            )
        ]

    def predict_frame(
        self, frame: Tensor, state: Tracks | None, **options: Any
    ) -> tuple[Any, Tracks]:
        """The result for a clip's next frame; its field ``id`` says which boxes are one object.

        A box has the id of the object of its class that was last seen where it is; one that is new
        has a new id.

        Args:
            frame: ``[3, H, W]``, uint8 or in [0, 1].
            state: None at the first frame, then what the last call returned.
        """
        found, _ = super().predict_frame(frame, None, **options)
        return with_ids(found, state)

    def onnx_outputs(self, image: Tensor) -> dict[str, Tensor]:
        (found,) = self.detect(self([image]))
        return found._asdict()

    def _option_takers(self) -> Sequence[Callable[..., Any]]:
        return (*super()._option_takers(), self.detect)


def with_ids(found: Any, tracks: Tracks | None) -> tuple[Any, Tracks]:
    """A frame's ``Detections``, or a kind of them, with the field ``id``, and the tracks after it.

    Args:
        found: the frame's.
        tracks: before it; None at the first frame.
    """
    ids, tracks = follow(tracks, FoundBoxes(found.boxes, found.scores, found.labels))
    return replace(found, fields={**found.fields, "id": ids}), tracks
