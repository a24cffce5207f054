"""What every semantic segmenter shares: how pictures come in, and what becomes of the logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from fastcv.classes import class_names
from fastcv.models._system import System
from fastcv.nn.segmentation_losses import dice_loss, pixel_cross_entropy, pixel_focal_loss
from fastcv.results import Segmentation

AUXILIARY_WEIGHT = 0.5  # in the loss

LOSSES = {
    "cross_entropy": pixel_cross_entropy,
    "dice": dice_loss,
    "focal": pixel_focal_loss,
}


class SegmenterOutput(NamedTuple):
    """What training needs where there is an auxiliary head: both logits ``[B, classes, H, W]``."""

    logits: Tensor
    aux: Tensor


def default_classes(num_classes: int) -> tuple[str, ...]:
    """VOC's names where there are 21 classes, ``class 0`` and so on elsewhere."""
    names = class_names("voc")
    return names if num_classes == len(names) else tuple(f"class {i}" for i in range(num_classes))


class Segmenter(System):
    """A model from normalised images ``[B, 3, H, W]`` to logits ``[B, classes, H, W]``."""

    preprocessing: Mapping[str, Any] = {
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    }
    """``mean``, ``std``: by channel, of values in [0, 1]. ``resize``: the shorter side in pixels
    that the network sees; without it each image in its own size. ``channel_order``: ``"bgr"`` for
    weights that came from Caffe; ``mean`` and ``std`` are in that order then."""

    loss_terms: Sequence[str] = ("cross_entropy",)
    """What ``loss`` sums: of ``"cross_entropy"``, ``"dice"`` and ``"focal"``; set it to choose."""

    def loss(self, output: Tensor | SegmenterOutput, targets: Tensor) -> dict[str, Tensor]:
        """The terms of ``loss_terms`` over the pixels that count; half of them for an auxiliary head.

        Args:
            output: what ``forward`` returned: logits ``[B, classes, H, W]``, or two of them.
            targets: labels ``[B, H, W]`` int64; 255 is left out.

        Raises:
            ValueError: targets of another shape or dtype, a label that no class has, or a term
                that does not exist.
        """
        if isinstance(output, SegmenterOutput):
            aux = torch.stack(list(self.loss(output.aux, targets).values())).sum()
            return {**self.loss(output.logits, targets), "auxiliary": AUXILIARY_WEIGHT * aux}
        for name in self.loss_terms:
            if name not in LOSSES:
                raise ValueError(f"loss_terms must be of {', '.join(LOSSES)}, got {name!r}")
        return {name: LOSSES[name](output, targets) for name in self.loss_terms}

    def prepare(self, images: list[Tensor]) -> Tensor:
        """Images of one size as a batch, resized and normalised."""
        mean, std = (
            images[0].new_tensor(self.preprocessing[key])[:, None, None] for key in ("mean", "std")
        )
        batch = torch.stack(images)
        if "resize" in self.preprocessing:
            scale = self.preprocessing["resize"] / min(batch.shape[-2:])
            size = [max(1, int(side * scale)) for side in batch.shape[-2:]]
            batch = F.interpolate(batch, size, mode="bilinear", antialias=True).clamp(0, 1)
        if self.preprocessing.get("channel_order") == "bgr":
            batch = batch.flip(1)
        return (batch - mean) / std

    def predict_batch(self, images: Sequence[Tensor], **options: Any) -> list[Segmentation]:
        """Each image by itself, in its own size."""
        results: list[Segmentation] = []
        for image in images:
            logits = self(self.prepare([self.as_float(image)]))
            if logits.shape[-2:] != image.shape[-2:]:
                logits = F.interpolate(logits, image.shape[-2:], mode="bilinear")
            results += self.postprocess(logits, **options)
        return results

    def postprocess(self, output: Tensor) -> list[Segmentation]:
        """The likeliest class of each pixel, and all classes' probabilities."""
        return [
            Segmentation(scores.argmax(dim=0), self.classes, scores)
            for scores in output.softmax(dim=1)
        ]
