"""What detectors share that take proposals: what these must be, and ``predict`` with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from fastcv.images import ImageInput
from fastcv.models._image_model import as_list
from fastcv.models.detection._detector import Detector

PROPOSALS = 2000  # of selective search, of an image


def check_proposals(proposals: Sequence[Tensor], images: int) -> None:
    """Raises where they are not boxes ``[N, 4]`` for each image.

    Raises:
        ValueError: one sentence with the image's index.
    """
    if len(proposals) != images:
        raise ValueError(
            f"proposals must have one entry for each image, got {len(proposals)} for {images}"
        )
    for i, boxes in enumerate(proposals):
        if not isinstance(boxes, Tensor) or boxes.dim() != 2 or boxes.shape[1] != 4:
            got = list(boxes.shape) if isinstance(boxes, Tensor) else type(boxes).__name__
            raise ValueError(f"proposals[{i}] must be a tensor [N, 4], got {got}")


def proposals_of_targets(targets: Sequence[Mapping[str, Any]]) -> list[Tensor]:
    """The targets' ``proposals``.

    Raises:
        ValueError: a target has none.
    """
    for i, target in enumerate(targets):
        if "proposals" not in target:
            raise ValueError(
                f"targets[{i}] must have 'proposals', has {sorted(target)}: wrap the dataset in "
                "fastcv.data.WithProposals"
            )
    return [target["proposals"] for target in targets]


class TakesProposals(Detector):
    """A system whose ``forward(images, proposals=None)`` proposes boxes itself where none come."""

    no_onnx = "selective search, which proposes its boxes, has no form in ONNX"

    def predict(
        self,
        inputs: ImageInput | Sequence[ImageInput],
        *,
        batch_size: int = 1,
        progress: bool = False,
        proposals: Sequence[Tensor] | None = None,
        **options: Any,
    ) -> list[Any]:
        """Results for pictures; see ``ImageModel.predict``.

        Args:
            inputs, batch_size, progress, options: as there.
            proposals: for each picture ``[N, 4]`` in its pixels; then pictures are looked at one at
                a time. None: selective search.
        """
        if proposals is None:
            return super().predict(inputs, batch_size=batch_size, progress=progress, **options)
        items = list(as_list(inputs))
        check_proposals(proposals, len(items))
        return [
            found
            for item, boxes in zip(items, proposals, strict=True)
            for found in super(TakesProposals, self).predict([item], proposals=[boxes], **options)
        ]

    def predict_batch(
        self, images: Sequence[Tensor], *, proposals: Sequence[Tensor] | None = None, **options: Any
    ) -> Sequence[Any]:
        """A result for each image ``[3, H, W]``, uint8 or in [0, 1]; ``predict`` calls it."""
        floats = [self.as_float(image) for image in images]
        return self.postprocess(self(floats, proposals), **options)
