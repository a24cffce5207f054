"""Anchors: the boxes that a detector's outputs at each cell of a feature map are relative to."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def cell_anchors(sizes: Sequence[float], aspect_ratios: Sequence[float]) -> Tensor:
    """Anchors about the origin, one for each ratio and size, corners on whole pixels.

    Args:
        sizes: square roots of the areas, in pixels.
        aspect_ratios: height / width.

    Returns:
        ``[len(aspect_ratios) * len(sizes), 4]`` float32 as ``(x1, y1, x2, y2)``, ratio by ratio.

    Example:
        >>> from fastcv.nn.detection.anchors import cell_anchors
        >>> cell_anchors([32], [0.5, 1.0])
        tensor([[-23., -11.,  23.,  11.],
                [-16., -16.,  16.,  16.]])
    """
    # On the CPU whatever the default device: a model on the meta device still has its anchors.
    size = torch.tensor([float(s) for s in sizes], device="cpu")
    height = torch.tensor([float(r) for r in aspect_ratios], device="cpu").sqrt()
    width = 1 / height
    w = (width[:, None] * size).flatten()
    h = (height[:, None] * size).flatten()
    return (torch.stack([-w, -h, w, h], dim=1) / 2).round()


class AnchorGenerator(nn.Module):
    """The anchors of every cell of every feature map.

    Args:
        sizes: for each level, the square roots of the anchors' areas, in pixels of the input.
        aspect_ratios: height / width of the anchors, the same at every level.

    The anchors are torchvision's to the last bit: that of a cell is centred at the cell's index
    times the stride, not half a stride further, where the published checkpoints expect it.

    Source: Ren et al., "Faster R-CNN" (2015), section 3.1.1.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.anchors import AnchorGenerator
        >>> anchors = AnchorGenerator(sizes=[[16]], aspect_ratios=[1.0])
        >>> anchors((32, 64), [torch.zeros(1, 8, 1, 2)])
        [tensor([[-8., -8.,  8.,  8.],
                [24., -8., 40.,  8.]])]
    """

    def __init__(
        self,
        sizes: Sequence[Sequence[float]],
        aspect_ratios: Sequence[float] = (0.5, 1.0, 2.0),
    ) -> None:
        super().__init__()
        self.levels = len(sizes)
        for i, level in enumerate(sizes):
            self.register_buffer(f"cell{i}", cell_anchors(level, aspect_ratios), persistent=False)

    @property
    def cells(self) -> list[Tensor]:
        """``[A, 4]`` for each level: the anchors about the origin."""
        return [self.get_buffer(f"cell{i}") for i in range(self.levels)]

    def anchors_per_cell(self) -> int:
        """Anchors of one cell, the same at every level.

        Raises:
            ValueError: the levels differ; one head could not serve them all.
        """
        counts = {len(cell) for cell in self.cells}
        if len(counts) != 1:
            raise ValueError(f"every level must have as many anchor sizes, got {sorted(counts)}")
        return counts.pop()

    def forward(self, input_size: tuple[int, int], features: Sequence[Tensor]) -> list[Tensor]:
        """Anchors of all levels.

        Args:
            input_size: ``(height, width)`` of the network's input, padding included.
            features: a feature map ``[B, C, H, W]`` for each level; only its size is read.

        Returns:
            for each level ``[H * W * A, 4]``, row by row, the anchors of a cell together.

        Raises:
            ValueError: not as many feature maps as levels.
        """
        if len(features) != self.levels:
            raise ValueError(f"AnchorGenerator: expected {self.levels} levels, got {len(features)}")
        return [
            self._level(cell, input_size, feature.shape[-2:])
            for cell, feature in zip(self.cells, features, strict=True)
        ]

    @staticmethod
    def _level(cell: Tensor, input_size: tuple[int, int], grid: Sequence[int]) -> Tensor:
        # float16 and bfloat16 cannot tell neighbouring pixels of a large image apart.
        cell = cell if cell.dtype == torch.float64 else cell.float()
        height, width = grid
        y = torch.arange(height, device=cell.device) * (input_size[0] // height)
        x = torch.arange(width, device=cell.device) * (input_size[1] // width)
        y, x = torch.meshgrid(y, x, indexing="ij")
        shift = torch.stack([x, y, x, y], dim=-1).reshape(-1, 1, 4)
        return (shift + cell).reshape(-1, 4)
