"""What every semantic segmenter shares: how pictures come in, and what becomes of the logits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.models._image_model import ImageModel
from fastcv.models.segmentation._tiles import label_tiles
from fastcv.nn.losses.segmentation_losses import dice_loss, pixel_cross_entropy, pixel_focal_loss
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


class Segmenter(ImageModel):
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
        """The terms of ``loss_terms``, and half their sum of an auxiliary head.

        Args:
            output: what ``forward`` returned: logits ``[B, classes, H, W]``, or two of them.
            targets: labels ``[B, H, W]`` int64; 255 is left out.

        Raises:
            TypeError: targets that are no tensor.
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

    def predict_batch(
        self,
        images: Sequence[Tensor],
        *,
        tile: int | None = None,
        overlap: int | None = None,
        scales: Sequence[float] = (1.0,),
        flip: bool = False,
        keep_scores: bool = True,
        progress: bool = False,
        **options: Any,
    ) -> list[Segmentation]:
        """Each image by itself, in its own size; ``predict`` takes these options.

        Args:
            images: ``[3, H, W]``, uint8 or in [0, 1].
            tile: go through an image in overlapping tiles of so many rows and columns, a multiple
                of 32, at least 64. Beside the image and its labels, which are uint8 on the CPU,
                only a row of tiles is in memory; there are no scores.
            overlap: how many pixels neighbouring tiles share at least; by default a quarter of
                the tile. The outer quarter of it is context only.
            scales: factors by which the image, or the tile, is enlarged. The logits of each are
                resized to the image's size, and probabilities are averaged.
            flip: average with the mirrored image too.
            keep_scores: whether results have ``scores``, ``[C, H, W]``.
            progress: show a bar of the tiles.
            options: what ``postprocess`` takes.

        Raises:
            ValueError: an option is out of its range.
        """
        if not scales or min(scales) <= 0:
            raise ValueError(f"scales must be numbers above 0, got {scales}")
        if tile is None and overlap is not None:
            raise ValueError(f"overlap is of tiles: set tile too, got overlap={overlap} alone")

        def scores_of(part: Tensor) -> Tensor:
            return self._mean_scores(self.as_float(part), scales, flip, options)

        results = []
        for image in images:
            scores = None
            if tile is not None:
                labels = label_tiles(scores_of, image, tile, overlap, progress=progress)
            else:
                scores = scores_of(image)
                labels = scores.argmax(dim=0)
            results.append(Segmentation(labels, self.classes, scores if keep_scores else None))
        return results

    def _mean_scores(
        self, image: Tensor, scales: Sequence[float], flip: bool, options: dict[str, Any]
    ) -> Tensor:
        """Probabilities ``[C, H, W]`` of an image in [0, 1], the mean over its views."""
        batch = self.prepare([image])
        total: Tensor | None = None
        for scale in scales:
            view = _resize(batch, [max(1, round(n * scale)) for n in batch.shape[-2:]])
            for mirrored in (False, True) if flip else (False,):
                logits = self.logits(view.flip(3)).flip(3) if mirrored else self.logits(view)
                (found,) = self.postprocess(_resize(logits, image.shape[-2:]), **options)
                assert found.scores is not None
                total = found.scores if total is None else total.add_(found.scores)
        assert total is not None
        return total.div_(len(scales) * (2 if flip else 1))

    def onnx_outputs(self, image: Tensor) -> dict[str, Tensor]:
        (found,) = self.predict_batch([image])
        assert found.scores is not None
        return {"labels": found.labels, "scores": found.scores}

    def logits(self, batch: Tensor) -> Tensor:
        """Logits of prepared images, for ``predict``; another where ``forward`` cuts a border."""
        return self(batch)

    def postprocess(self, output: Tensor) -> list[Segmentation]:
        """The likeliest class of each pixel, and all classes' probabilities."""
        return [
            Segmentation(scores.argmax(dim=0), self.classes, scores)
            for scores in output.softmax(dim=1)
        ]


def _resize(batch: Tensor, size: Sequence[int]) -> Tensor:
    """``[B, C, H, W]`` in another size; smaller without aliasing."""
    if list(batch.shape[-2:]) == list(size):
        return batch
    return F.interpolate(batch, list(size), mode="bilinear", antialias=True)
