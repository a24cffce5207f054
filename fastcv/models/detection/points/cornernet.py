"""CornerNet: a box is a pair of corners whose embeddings are near each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models.detection.points._corners import CornerDetector
from fastcv.models.detection.points._detector import PointOutput, used_labels
from fastcv.nn.backbones.hourglass import DIMS, MODULES, StackedHourglass
from fastcv.nn.points.corner_pairs import Pairs, pair_corners
from fastcv.nn.points.corner_pooling import CornerPooling
from fastcv.nn.points.heads import CornerHead, CornerMaps
from fastcv.nn.points.transform import PointTransform

TOP_K = 100


class Corners(NamedTuple):
    """The maps of both corners."""

    top_left: CornerMaps
    bottom_right: CornerMaps


class CornersHead(nn.Module):
    """Both corners of one feature map.

    Args:
        channels: of the feature map.
        hidden: channels between the convolutions.
        classes: channels of the heatmaps.
    """

    def __init__(self, channels: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.top_left = CornerHead(CornerPooling(channels, "top_left"), channels, hidden, classes)
        self.bottom_right = CornerHead(
            CornerPooling(channels, "bottom_right"), channels, hidden, classes
        )

    def forward(self, features: Tensor) -> Corners:
        return Corners(self.top_left(features), self.bottom_right(features))


class CornerNet(CornerDetector[Corners]):
    """CornerNet of any backbone.

    Args: as for ``PointDetector``.

    Source: Law and Deng, "CornerNet: Detecting Objects as Paired Keypoints" (2018), figure 4.

    Example:
        >>> import torch
        >>> from fastcv.models import create_model
        >>> model = create_model(
        ...     "cornernet_hourglass104", num_classes=3, dims=(8, 8), modules=(1, 1), size=63
        ... )
        >>> images = [torch.rand(3, 60, 80), torch.rand(3, 64, 64)]
        >>> boxes, labels = torch.tensor([[10.0, 10.0, 50.0, 40.0]]), torch.tensor([2])
        >>> losses = model.loss(model(images), [{"boxes": boxes, "labels": labels}] * 2)
        >>> sorted(losses)
        ['loss_heatmap', 'loss_offset', 'loss_pull', 'loss_push']
        >>> model.predict(images, score_threshold=0.99)
        [Detections(0 boxes in 60x80), Detections(0 boxes in 64x64)]
    """

    def pairs(self, output: PointOutput[Corners]) -> Pairs:
        """The boxes of the 100 best corners of each kind, in cells."""
        return pair_corners(*output.stacks[-1], k=TOP_K)


@register("cornernet_hourglass104", task="detection")
def cornernet_hourglass104(
    *,
    num_classes: int = 91,
    stacks: int = 2,
    dims: Sequence[int] = DIMS,
    modules: Sequence[int] = MODULES,
    size: int = 511,
) -> CornerNet:
    """CornerNet as in the paper, on the stacked hourglass.

    Args:
        num_classes: with the background and, of COCO's 91, the gaps.
        stacks: hourglasses in a row.
        dims: channels at each size within one, the largest first; the first is the map's.
        modules: residual blocks at each size.
        size: the images' longer side, in pixels.

    Source: Law and Deng (2018), sections 3.6 and 4.1.
    """
    width = dims[0]
    backbone = StackedHourglass(stacks, dims, modules, out_channels=width)
    classes = default_classes("coco", num_classes, with_background=True)
    channels = len(used_labels(classes))
    return CornerNet(
        backbone,
        [CornersHead(width, width, channels) for _ in range(stacks)],
        PointTransform(size, backbone.size_divisible, less=1),
        classes,
    )
