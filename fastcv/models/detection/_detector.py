"""What every detector shares: ``detect`` finds boxes as tensors, the rest follows from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from fastcv.models._image_model import ImageModel
from fastcv.nn.detection.boxes import FoundBoxes
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

    def onnx_outputs(self, image: Tensor) -> dict[str, Tensor]:
        (found,) = self.detect(self([image]))
        return found._asdict()

    def _option_takers(self) -> Sequence[Callable[..., Any]]:
        return (*super()._option_takers(), self.detect)
