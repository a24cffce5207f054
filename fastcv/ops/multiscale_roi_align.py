"""RoIAlign from the level of a feature pyramid that fits each box."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.fx
from torch import Tensor

from fastcv.ops._roi import as_pair, as_rois
from fastcv.ops._script import BroadcastingList2
from fastcv.ops.boxes import box_area
from fastcv.ops.roi import roi_align


class MultiScaleRoIAlign(torch.nn.Module):
    """Pools each box from one level of a feature pyramid: large boxes from coarse levels.

    A box of area A is pooled from the level
    ``floor(canonical_level + log2(sqrt(A) / canonical_scale))``, within those there are.

    Args:
        featmap_names: the levels' names in ``x``, finest first.
        output_size: bins as ``(height, width)``, or one number for both.
        sampling_ratio: as in ``roi_align``.
        canonical_scale: the side of a box, in pixels of the image, that belongs to
            ``canonical_level``.
        canonical_level: 4 is the level with stride 16.

    Source: Lin et al., "Feature Pyramid Networks" (2017), equation 1.

    Example:
        >>> import torch, fastcv
        >>> pool = fastcv.ops.MultiScaleRoIAlign(["p2", "p3"], output_size=7, sampling_ratio=2)
        >>> x = {"p2": torch.rand(1, 16, 64, 64), "p3": torch.rand(1, 16, 32, 32)}
        >>> boxes = [torch.tensor([[10.0, 10.0, 40.0, 60.0], [0.0, 0.0, 250.0, 250.0]])]
        >>> pool(x, boxes, image_shapes=[(256, 256)]).shape
        torch.Size([2, 16, 7, 7])
    """

    def __init__(
        self,
        featmap_names: Sequence[str],
        output_size: BroadcastingList2[int],
        sampling_ratio: int,
        *,
        canonical_scale: int = 224,
        canonical_level: int = 4,
    ) -> None:
        super().__init__()
        self.featmap_names = list(featmap_names)
        self.output_size = as_pair("MultiScaleRoIAlign", output_size)
        self.sampling_ratio = sampling_ratio
        self.canonical_scale = canonical_scale
        self.canonical_level = canonical_level

    def forward(
        self,
        x: dict[str, Tensor],
        boxes: list[Tensor],
        image_shapes: list[tuple[int, int]],
    ) -> Tensor:
        """Features of all boxes.

        Args:
            x: ``[N, C, H_l, W_l]`` for each level; other names are ignored.
            boxes: for each image ``[L, 4]`` as ``(x1, y1, x2, y2)`` in its pixels.
            image_shapes: each image's ``(height, width)`` before padding to a common batch.

        Returns:
            ``[K, C, height, width]``, image after image in the order of ``boxes``.

        Raises:
            ValueError: a level is missing, or the numbers of ``boxes`` and ``image_shapes`` differ.
        """
        return _pool_levels(
            x,
            boxes,
            image_shapes,
            self.featmap_names,
            self.output_size,
            self.sampling_ratio,
            self.canonical_scale,
            self.canonical_level,
        )

    def extra_repr(self) -> str:
        return (
            f"featmap_names={self.featmap_names}, output_size={self.output_size}, "
            f"sampling_ratio={self.sampling_ratio}"
        )


@torch.fx.wrap
def _pool_levels(
    x: dict[str, Tensor],
    boxes: list[Tensor],
    image_shapes: list[tuple[int, int]],
    names: list[str],
    output_size: tuple[int, int],
    sampling_ratio: int,
    canonical_scale: int,
    canonical_level: int,
) -> Tensor:
    for name in names:
        if name not in x:
            raise ValueError(
                f"MultiScaleRoIAlign: x must have the levels {names}, got {list(x.keys())}"
            )
    if len(boxes) != len(image_shapes) or len(boxes) == 0:
        raise ValueError(
            "MultiScaleRoIAlign: boxes and image_shapes must have one entry for each image, "
            f"got {len(boxes)} and {len(image_shapes)}"
        )
    levels = [x[name] for name in names]
    rois = as_rois("MultiScaleRoIAlign", boxes, 4)
    strides = [_log2_stride(level, image_shapes) for level in levels]
    if len(levels) == 1:
        return roi_align(levels[0], rois, output_size, 2.0 ** -strides[0], sampling_ratio)
    sides = box_area(rois[:, 1:]).sqrt()
    level_of = (canonical_level + (sides / canonical_scale).log2() + 1e-6).floor()
    level_of = level_of.clamp(strides[0], strides[-1]).long() - strides[0]
    members = [(level_of == i).nonzero().flatten() for i in range(len(levels))]
    pooled = [
        roi_align(level, rois[members[i]], output_size, 2.0 ** -strides[i], sampling_ratio)
        for i, level in enumerate(levels)
    ]
    # Back from level by level to the order of the boxes. Under autocast levels differ in dtype.
    in_order = torch.cat([p.to(levels[0].dtype) for p in pooled])
    return in_order.index_select(0, torch.cat(members).argsort())


def _log2_stride(level: Tensor, image_shapes: list[tuple[int, int]]) -> int:
    """Of the power of two nearest to what the images were scaled down by."""
    height = max([shape[0] for shape in image_shapes])
    log2 = math.log(height / level.shape[-2]) / math.log(2.0)
    return int(round(log2))  # noqa: RUF046  # a scripted round gives a float
