"""RoIPool from the level of a feature pyramid that fits each box."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fastcv.ops import box_area, roi_pool
from fastcv.ops.multiscale_roi_align import _log2_stride

CANONICAL_SCALE, CANONICAL_LEVEL = 224, 4  # as of MultiScaleRoIAlign


class MultiScaleRoIPool(nn.Module):
    """RoIPool behind the interface of ``MultiScaleRoIAlign``, with the same level for each box.

    A box's borders, and those of its bins, are rounded to cells of the map: at stride 32 a mask may
    be off by 16 pixels. It is here to measure that.

    Args:
        featmap_names: the levels' names, finest first.
        output_size: bins along each axis.

    Source: He et al., "Mask R-CNN" (2017), section 3, RoIAlign.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.multiscale_roi_pool import MultiScaleRoIPool
        >>> pool = MultiScaleRoIPool(["0", "1"], output_size=2)
        >>> maps = {"0": torch.rand(1, 8, 64, 64), "1": torch.rand(1, 8, 32, 32)}
        >>> pool(maps, [torch.tensor([[10.0, 10.0, 40.0, 60.0]])], [(256, 256)]).shape
        torch.Size([1, 8, 2, 2])
    """

    def __init__(self, featmap_names: Sequence[str], output_size: int) -> None:
        super().__init__()
        self.featmap_names, self.output_size = list(featmap_names), output_size

    def forward(
        self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: Sequence[tuple[int, int]]
    ) -> Tensor:
        """``[K, C, output_size, output_size]``; arguments as of ``MultiScaleRoIAlign``."""
        levels = [x[name] for name in self.featmap_names]
        strides = [_log2_stride(level, list(image_shapes)) for level in levels]
        index = [torch.full_like(b[:, :1], i) for i, b in enumerate(boxes)]
        rois = torch.cat([torch.cat(index), torch.cat(boxes)], dim=1)
        sides = box_area(rois[:, 1:]).sqrt()
        level_of = (CANONICAL_LEVEL + (sides / CANONICAL_SCALE).log2() + 1e-6).floor()
        level_of = level_of.clamp(strides[0], strides[-1]).long() - strides[0]
        pooled = levels[0].new_zeros(len(rois), levels[0].shape[1], *[self.output_size] * 2)
        for i, level in enumerate(levels):
            members = (level_of == i).nonzero().flatten()
            own = roi_pool(level, rois[members], self.output_size, 2.0 ** -strides[i])
            pooled = pooled.index_copy(0, members, own.to(pooled.dtype))
        return pooled
