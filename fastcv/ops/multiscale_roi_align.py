"""RoIAlign from the level of a feature pyramid that fits each box."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from fastcv.ops._roi import as_pair, as_rois
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
        output_size: int | Sequence[int],
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
        missing = [name for name in self.featmap_names if name not in x]
        if missing:
            raise ValueError(
                f"MultiScaleRoIAlign: x must have the levels {self.featmap_names}, got {list(x)}"
            )
        if len(boxes) != len(image_shapes) or not boxes:
            raise ValueError(
                "MultiScaleRoIAlign: boxes and image_shapes must have one entry for each image, "
                f"got {len(boxes)} and {len(image_shapes)}"
            )
        levels = [x[name] for name in self.featmap_names]
        rois = as_rois("MultiScaleRoIAlign", boxes, 4)
        scales = [self._scale(level, image_shapes) for level in levels]
        if len(levels) == 1:
            return self._pool(levels[0], rois, scales[0])
        level_of = self._levels(rois, scales)
        members = [(level_of == i).nonzero().flatten() for i in range(len(levels))]
        pooled = [
            self._pool(level, rois[index], scale)
            for level, scale, index in zip(levels, scales, members, strict=True)
        ]
        # Back from level by level to the order of the boxes.
        return torch.cat(pooled).index_select(0, torch.cat(members).argsort())

    def _pool(self, level: Tensor, rois: Tensor, scale: float) -> Tensor:
        return roi_align(level, rois, self.output_size, scale, self.sampling_ratio)

    @staticmethod
    def _scale(level: Tensor, image_shapes: list[tuple[int, int]]) -> float:
        """The power of two nearest to what the images were scaled by."""
        height = max(shape[0] for shape in image_shapes)
        return 2.0 ** round(math.log2(level.shape[-2] / height))

    def _levels(self, rois: Tensor, scales: list[float]) -> Tensor:
        finest, coarsest = (round(-math.log2(s)) for s in (scales[0], scales[-1]))
        area = (rois[:, 3] - rois[:, 1]) * (rois[:, 4] - rois[:, 2])
        level = self.canonical_level + (area.sqrt() / self.canonical_scale).log2() + 1e-6
        return level.floor().clamp(finest, coarsest).long() - finest

    def extra_repr(self) -> str:
        return (
            f"featmap_names={self.featmap_names}, output_size={self.output_size}, "
            f"sampling_ratio={self.sampling_ratio}"
        )
