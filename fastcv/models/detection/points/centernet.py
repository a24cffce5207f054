"""CenterNet, objects as points: a peak is a centre, and the object's size is read there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models.detection.points._detector import (
    PointDetector,
    PointOutput,
    used_labels,
)
from fastcv.nn.backbones.dla import DLA34_CHANNELS, DLAUp
from fastcv.nn.backbones.hourglass import DIMS, MODULES, StackedHourglass
from fastcv.nn.backbones.resnet_dcn import ResNetDCN
from fastcv.nn.detection.boxes import FoundBoxes
from fastcv.nn.detection.transform import resize_boxes
from fastcv.nn.points.corner_pairs import peaks_of
from fastcv.nn.points.heads import PointHead, PointMaps
from fastcv.nn.points.heatmaps import at_cells, gaussian_radius, point_targets
from fastcv.nn.points.losses import heatmap_focal_loss, l1_loss
from fastcv.nn.points.transform import PointTransform

SIZE_WEIGHT = 0.1
BRANCHES = {"hm": "heatmap", "wh": "size", "reg": "offset"}


class CenterNet(PointDetector[PointMaps]):
    """CenterNet of any backbone; no boxes are compared, and none suppressed.

    Args: as for ``PointDetector``.

    Source: Zhou et al., "Objects as Points" (2019).

    Example:
        >>> import torch
        >>> from fastcv.models import create_model
        >>> model = create_model("centernet_resdcn18", num_classes=3, width=8, size=64)
        >>> images = [torch.rand(3, 60, 80), torch.rand(3, 64, 64)]
        >>> boxes, labels = torch.tensor([[10.0, 10.0, 50.0, 40.0]]), torch.tensor([2])
        >>> losses = model.loss(model(images), [{"boxes": boxes, "labels": labels}] * 2)
        >>> sorted(losses)
        ['loss_heatmap', 'loss_offset', 'loss_size']
        >>> model.predict(images, score_threshold=0.99)
        [Detections(0 boxes in 60x80), Detections(0 boxes in 64x64)]
    """

    def loss(
        self, output: PointOutput[PointMaps], targets: list[dict[str, Any]]
    ) -> dict[str, Tensor]:
        """The three terms of the paper, the mean over the backbone's stacks.

        Args:
            output: of ``forward``.
            targets: for each image ``boxes`` ``[N, 4]`` in its pixels, ``labels`` ``[N]`` int64,
                1 and up, and where there are crowds ``iscrowd`` ``[N]``: these are left out.

        Returns:
            ``loss_heatmap``, ``loss_offset`` and ``loss_size``, which is weighted by 0.1.

        Raises:
            ValueError: a target that cannot be right; the sentence names the image and the box.

        Source: Zhou et al. (2019), equations 1 to 4.
        """
        _, classes, height, width = output.stacks[0].heatmap.shape
        boxes, channels = self.objects(output.batch, targets, (height, width))
        sizes = [b[:, 2:] - b[:, :2] for b in boxes]
        centers = point_targets(
            [(b[:, 2:] + b[:, :2]) / 2 for b in boxes],
            channels,
            [gaussian_radius(size) for size in sizes],
            (classes, height, width),
        )
        terms: dict[str, Tensor] = {}
        for maps in output.stacks:
            size, offset = (
                at_cells(m, centers.image, centers.cell) for m in (maps.size, maps.offset)
            )
            for name, value in (
                ("loss_heatmap", heatmap_focal_loss(maps.heatmap, centers.heatmap)),
                ("loss_size", SIZE_WEIGHT * l1_loss(size, torch.cat(sizes))),
                ("loss_offset", l1_loss(offset, centers.offset)),
            ):
                terms[name] = terms.get(name, 0) + value / len(output.stacks)
        return terms

    def detect(
        self,
        output: PointOutput[PointMaps],
        *,
        score_threshold: float = 0.05,
        max_detections: int = 100,
    ) -> list[FoundBoxes]:
        """Boxes of each image, in its own pixels, by falling score: tensors, for export.

        Args:
            output: of ``forward``.
            score_threshold: a peak must be above it.
            max_detections: of an image, at most.
        """
        batch, maps = output.batch, output.stacks[-1]
        peaks = peaks_of(maps.heatmap, max_detections)
        centers = peaks.points + peaks.read(maps.offset)
        sizes = peaks.read(maps.size).clamp(min=0)
        boxes = torch.cat([centers - sizes / 2, centers + sizes / 2], dim=2)
        cells = (maps.heatmap.shape[2], maps.heatmap.shape[3])
        boxes = resize_boxes(boxes, cells, (batch.tensors.shape[2], batch.tensors.shape[3]))
        found = []
        for i, scores in enumerate(peaks.scores):
            keep = scores > score_threshold
            found.append(
                self.found_boxes(batch, i, boxes[i, keep], scores[keep], peaks.channels[i, keep])
            )
        return found

    def rename_key(self, key: str) -> str:
        name, _, rest = key.partition(".")
        if name not in BRANCHES:
            # Keys of a backbone that is no hourglass stand at the top of a checkpoint.
            known = ("backbone", "heads", "labels")
            return super().rename_key(key) if name in known else f"backbone.{key}"
        if not re.match(r"\d+\.\d", rest):  # one stack: the branch's layers themselves, 0 and 2
            return f"heads.0.{BRANCHES[name]}.{rest}"
        stack, index, *_, kind = rest.split(".")
        return f"heads.{stack}.{BRANCHES[name]}.{2 * int(index)}.{kind}"

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        for kind in ("weight", "bias"):  # the classifier that DLA was trained with before
            state_dict.pop(f"{prefix}base.fc.{kind}", None)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _centernet(
    backbone: StackedHourglass | DLAUp | ResNetDCN, num_classes: int, hidden: int, size: int
) -> CenterNet:
    classes = default_classes("coco", num_classes, with_background=True)
    channels = len(used_labels(classes))
    return CenterNet(
        backbone,
        [PointHead(backbone.map_channels, hidden, channels) for _ in range(backbone.stacks)],
        PointTransform(size, backbone.size_divisible),
        classes,
    )


@register("centernet_resdcn18", task="detection")
def centernet_resdcn18(*, num_classes: int = 91, width: int = 64, size: int = 512) -> CenterNet:
    """CenterNet on ResNet-18 with deformable convolutions on the way up.

    Args:
        num_classes: with the background and, of COCO's 91, the gaps.
        width: channels of the ResNet's first stage and of the map; 64 is the paper's.
        size: the images' longer side, in pixels.
    """
    backbone = ResNetDCN(18, up_channels=(4 * width, 2 * width, width), width=width)
    return _centernet(backbone, num_classes, width, size)


@register("centernet_resdcn101", task="detection")
def centernet_resdcn101(*, num_classes: int = 91, size: int = 512) -> CenterNet:
    """CenterNet on ResNet-101 with deformable convolutions on the way up.

    Args:
        num_classes: with the background and, of COCO's 91, the gaps.
        size: the images' longer side, in pixels.
    """
    return _centernet(ResNetDCN(101), num_classes, 64, size)


@register("centernet_dla34", task="detection")
def centernet_dla34(
    *,
    num_classes: int = 91,
    channels: Sequence[int] = DLA34_CHANNELS,
    head_channels: int = 256,
    size: int = 512,
) -> CenterNet:
    """CenterNet on DLA-34 with deformable convolutions in its decoder.

    Args:
        num_classes: with the background and, of COCO's 91, the gaps.
        channels: of DLA's six levels.
        head_channels: between the convolutions that read the map.
        size: the images' longer side, in pixels.
    """
    return _centernet(DLAUp(channels=channels), num_classes, head_channels, size)


@register("centernet_hourglass104", task="detection")
def centernet_hourglass104(
    *,
    num_classes: int = 91,
    stacks: int = 2,
    dims: Sequence[int] = DIMS,
    modules: Sequence[int] = MODULES,
    size: int = 512,
) -> CenterNet:
    """CenterNet on the hourglass of CornerNet.

    Args:
        num_classes: with the background and, of COCO's 91, the gaps.
        stacks: hourglasses in a row.
        dims: channels at each size within one, the largest first; the first is the map's.
        modules: residual blocks at each size.
        size: the images' longer side, in pixels.
    """
    backbone = StackedHourglass(stacks, dims, modules, out_channels=dims[0])
    return _centernet(backbone, num_classes, dims[0], size)
