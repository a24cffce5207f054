"""What detectors that find points share: from images to maps, labels, and checkpoints' keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor, nn

from fastcv.models.detection._detector import Detector
from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.detection.targets import objects_in_batch
from fastcv.nn.detection.transform import ImageBatch, resize_boxes
from fastcv.nn.points.transform import PointTransform
from fastcv.ops import clip_boxes_to_image

Maps = TypeVar("Maps")


class PointOutput(NamedTuple, Generic[Maps]):
    """The network's outputs for a batch."""

    batch: ImageBatch
    stacks: list[Maps]
    """The maps of each stack in training; in eval mode of the last alone."""


class PointDetector(Detector, Generic[Maps]):
    """A backbone that gives a feature map for each of its stacks, and a head for each.

    Args:
        backbone: normalised images ``[B, 3, H, W]`` to a list of feature maps.
        heads: one for each of them; a head's maps are of stride 4.
        transform: images of any sizes to one normalised batch.
        classes: names by label; the first is the background. Those named ``(unused)``, as COCO's
            gaps are, have no channel.
    """

    labels: Tensor

    def __init__(
        self,
        backbone: nn.Module,
        heads: Sequence[nn.Module],
        transform: PointTransform,
        classes: Sequence[str],
    ) -> None:
        super().__init__()
        self.transform = transform
        self.backbone = backbone
        self.heads = nn.ModuleList(heads)
        self.classes = tuple(classes)
        self.register_buffer(
            "labels", torch.tensor(used_labels(classes), device="cpu"), persistent=False
        )

    def forward(self, images: Sequence[Tensor] | Tensor) -> PointOutput[Maps]:
        """The maps.

        Args:
            images: a list of ``[3, H, W]`` of any sizes, or ``[B, 3, H, W]``; floating, in [0, 1].

        Raises:
            TypeError, ValueError: images of another kind or shape.
        """
        batch = self.transform(images)
        return PointOutput(batch, self.dense(batch.tensors))

    def dense(self, tensors: Tensor) -> list[Maps]:
        """The part whose shapes depend on the batch's alone.

        Args:
            tensors: ``[B, 3, H, W]``, normalised and padded, BGR.
        """
        pairs = list(zip(self.heads, self.backbone(tensors), strict=True))
        return [head(features) for head, features in pairs[0 if self.training else -1 :]]

    def objects(
        self, batch: ImageBatch, targets: list[dict[str, Any]], cells: tuple[int, int]
    ) -> tuple[list[Tensor], list[Tensor]]:
        """For each image the objects' boxes ``[N, 4]`` in cells of a map, and their channels.

        Raises:
            ValueError: a target that cannot be right.
        """
        objects = objects_in_batch(targets, batch, len(self.classes))
        pixels = (batch.tensors.shape[2], batch.tensors.shape[3])
        all_boxes, all_channels = [], []
        for i, (boxes, labels) in enumerate(objects):
            channels = torch.searchsorted(self.labels, labels)
            if not torch.equal(self.labels[channels], labels):
                unused = labels[self.labels[channels] != labels][0]
                raise ValueError(f"targets[{i}]: label {int(unused)} is unused, it has no name")
            all_boxes.append(resize_boxes(boxes, pixels, cells))
            all_channels.append(channels)
        return all_boxes, all_channels

    def found_boxes(
        self, batch: ImageBatch, i: int, boxes: Tensor, scores: Tensor, channels: Tensor
    ) -> FoundBoxes:
        """Boxes in pixels of the batch, clipped to image ``i`` and in its own pixels."""
        boxes = clip_boxes_to_image(boxes, batch.sizes[i])
        boxes = resize_boxes(boxes, batch.sizes[i], batch.original_sizes[i])
        return FoundBoxes(boxes, scores, self.labels[channels])

    def rename_key(self, key: str) -> str:
        name, _, rest = key.partition(".")
        if name in HOURGLASS:
            return f"backbone.{key}"
        if name not in HEADS:
            return key
        stack, _, rest = rest.partition(".")
        part = HEADS[name]
        if not part.endswith("pool"):  # a branch's layers: 0.conv and 1, with a ReLU between
            index, _, kind = rest.partition(".")
            rest = f"{2 * int(index)}.{kind.removeprefix('conv.')}"
        return f"heads.{stack}.{part}.{rest}"


HOURGLASS = ("pre", "kps", "cnvs", "inters", "inters_", "cnvs_")
HEADS = {
    f"{short}_{old}s": f"{point}.{new}"
    for short, point in (("tl", "top_left"), ("br", "bottom_right"), ("ct", "center"))
    for old, new in (
        ("cnv", "pool"),
        ("heat", "heatmap"),
        ("tag", "embedding"),
        ("regr", "offset"),
    )
}


def used_labels(classes: Sequence[str]) -> list[int]:
    """The labels that have a channel: all but the background and COCO's gaps."""
    return [i for i, name in enumerate(classes) if i > 0 and name != "(unused)"]
