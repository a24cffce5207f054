"""CenterNet with triplets: a pair of corners is a box only if there is a centre in its middle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models.detection.points._corners import CornerDetector
from fastcv.models.detection.points._detector import PointOutput, used_labels
from fastcv.nn.backbones.hourglass import DIMS, MODULES, StackedHourglass
from fastcv.nn.detection.transform import resize_boxes
from fastcv.nn.points.corner_pairs import Pairs, confirm_by_centers, pair_corners, peaks_of
from fastcv.nn.points.corner_pooling import CascadeCornerPooling, CenterPooling
from fastcv.nn.points.heads import CenterHead, CenterMaps, CornerHead, CornerMaps
from fastcv.nn.points.transform import PointTransform

TOP_K = 70
LARGE = 150  # pixels: the root of the area above which a box has a narrower middle


class Triplet(NamedTuple):
    """The maps of both corners and of the centre."""

    top_left: CornerMaps
    bottom_right: CornerMaps
    center: CenterMaps


class TripletHead(nn.Module):
    """Both corners and the centre of one feature map.

    Args:
        channels: of the feature map.
        hidden: channels between the convolutions.
        classes: channels of the heatmaps.
    """

    def __init__(self, channels: int, hidden: int, classes: int) -> None:
        super().__init__()
        sizes = (channels, hidden, classes)
        self.top_left = CornerHead(CascadeCornerPooling(channels, "top_left"), *sizes)
        self.bottom_right = CornerHead(CascadeCornerPooling(channels, "bottom_right"), *sizes)
        self.center = CenterHead(CenterPooling(channels), *sizes)

    def forward(self, features: Tensor) -> Triplet:
        return Triplet(self.top_left(features), self.bottom_right(features), self.center(features))


class CenterNetTriplet(CornerDetector[Triplet]):
    """CenterNet with triplets, of any backbone.

    Args: as for ``PointDetector``.

    Source: Duan et al., "CenterNet: Keypoint Triplets for Object Detection" (2019), figure 2.

    Example:
        >>> import torch
        >>> from fastcv.models import create_model
        >>> model = create_model(
        ...     "centernet_triplet_hourglass52", num_classes=3, dims=(8, 8), modules=(1, 1), size=63
        ... )
        >>> output = model.eval()([torch.rand(3, 60, 80)])
        >>> {name: list(maps.heatmap.shape) for name, maps in output.stacks[-1]._asdict().items()}
        {'top_left': [1, 2, 12, 16], 'bottom_right': [1, 2, 12, 16], 'center': [1, 2, 12, 16]}
    """

    def pairs(self, output: PointOutput[Triplet]) -> Pairs:
        """The boxes of the 70 best corners of each kind that a centre confirms, in cells."""
        top_left, bottom_right, center = output.stacks[-1]
        pairs = pair_corners(top_left, bottom_right, k=TOP_K)
        cells = (center.heatmap.shape[2], center.heatmap.shape[3])
        tensors = output.batch.tensors
        pixels = resize_boxes(pairs.boxes, cells, (tensors.shape[2], tensors.shape[3]))
        area = (pixels[..., 2:] - pixels[..., :2]).prod(-1)
        n = torch.where(area > LARGE**2, 5, 3)
        centers = peaks_of(center.heatmap, TOP_K)
        return pairs._replace(scores=confirm_by_centers(pairs, centers, center.offset, n))


def _triplet(
    stacks: int, num_classes: int, dims: Sequence[int], modules: Sequence[int], size: int
) -> CenterNetTriplet:
    width = dims[0]
    backbone = StackedHourglass(stacks, dims, modules, out_channels=width)
    classes = default_classes("coco", num_classes, with_background=True)
    channels = len(used_labels(classes))
    return CenterNetTriplet(
        backbone,
        [TripletHead(width, width, channels) for _ in range(stacks)],
        PointTransform(size, backbone.size_divisible, less=1),
        classes,
    )


@register("centernet_triplet_hourglass104", task="detection")
def centernet_triplet_hourglass104(
    *,
    num_classes: int = 91,
    dims: Sequence[int] = DIMS,
    modules: Sequence[int] = MODULES,
    size: int = 511,
) -> CenterNetTriplet:
    """CenterNet with triplets on two stacked hourglasses.

    Args:
        num_classes: with the background and, of COCO's 91, the gaps.
        dims: channels at each size within an hourglass, the largest first; the first is the map's.
        modules: residual blocks at each size.
        size: the images' longer side, in pixels.
    """
    return _triplet(2, num_classes, dims, modules, size)


@register("centernet_triplet_hourglass52", task="detection")
def centernet_triplet_hourglass52(
    *,
    num_classes: int = 91,
    dims: Sequence[int] = DIMS,
    modules: Sequence[int] = MODULES,
    size: int = 511,
) -> CenterNetTriplet:
    """The same on one hourglass; arguments as for ``centernet_triplet_hourglass104``."""
    return _triplet(1, num_classes, dims, modules, size)
