"""Prior boxes: SSD's anchors, whose sizes are shares of the image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class PriorBoxes(nn.Module):
    """The prior ("default") boxes of every cell of every feature map.

    A cell of map k has a square of scale ``s_k``, one of scale ``sqrt(s_k * s_(k+1))``, and for
    each aspect ratio a box of the first one's area, wide, then high.

    Args:
        aspect_ratios: for each map, the ratios beside 1.
        scales: for each map, the side of its square as a share of the image's; one more for the
            last map's larger square.
        steps: for each map, the pixels of the input from cell to cell; None: the input's size over
            the map's, as the paper has it. The published networks name them; some of
            their last centres lie a few pixels outside.
        clip_centres: whether such centres are moved to the image's edge. Sides never exceed the
            image's.

    Raises:
        ValueError: not as many scales or steps as maps need.

    Source: Liu et al., "SSD: Single Shot MultiBox Detector" (2016), section 2.2.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.prior_boxes import PriorBoxes
        >>> priors = PriorBoxes(aspect_ratios=[[]], scales=[0.25, 1.0])
        >>> priors((100, 200), [torch.zeros(1, 8, 1, 2)])
        [tensor([[ 25.0000,  37.5000,  75.0000,  62.5000],
                [  0.0000,  25.0000, 100.0000,  75.0000],
                [125.0000,  37.5000, 175.0000,  62.5000],
                [100.0000,  25.0000, 200.0000,  75.0000]])]
    """

    def __init__(
        self,
        aspect_ratios: Sequence[Sequence[float]],
        scales: Sequence[float],
        steps: Sequence[float] | None = None,
        *,
        clip_centres: bool = False,
    ) -> None:
        super().__init__()
        maps = len(aspect_ratios)
        if len(scales) != maps + 1:
            raise ValueError(
                f"scales must be one more than the {maps} aspect_ratios, got {len(scales)}"
            )
        if steps is not None and len(steps) != maps:
            raise ValueError(f"steps must be as many as the {maps} aspect_ratios, got {len(steps)}")
        self.steps = steps
        self.clip_centres = clip_centres
        self.sides = [
            _sides(ratios, scales[k], scales[k + 1]) for k, ratios in enumerate(aspect_ratios)
        ]

    def per_cell(self) -> list[int]:
        """Priors of a cell, for each map."""
        return [len(sides) for sides in self.sides]

    def forward(self, input_size: tuple[int, int], features: Sequence[Tensor]) -> list[Tensor]:
        """Priors of all maps.

        Args:
            input_size: ``(height, width)`` of the network's input.
            features: a feature map ``[B, C, H, W]`` for each level; its size and device are read.

        Returns:
            for each level ``[H * W * A, 4]`` float32 as ``(x1, y1, x2, y2)`` in pixels of the
            input, row by row, the priors of a cell together.

        Raises:
            ValueError: not as many feature maps as there are aspect ratios for.
        """
        if len(features) != len(self.sides):
            raise ValueError(f"PriorBoxes: expected {len(self.sides)} maps, got {len(features)}")
        return [self._level(k, input_size, feature) for k, feature in enumerate(features)]

    def _level(self, k: int, input_size: tuple[int, int], feature: Tensor) -> Tensor:
        height, width = feature.shape[-2:]
        step = None if self.steps is None else self.steps[k]
        rows, columns = (height, width) if step is None else (n / step for n in input_size)
        y = (torch.arange(height, device=feature.device) + 0.5) / rows
        x = (torch.arange(width, device=feature.device) + 0.5) / columns
        y, x = torch.meshgrid(y, x, indexing="ij")
        centre = torch.stack([x, y], dim=-1).reshape(-1, 1, 2)
        if self.clip_centres:
            centre = centre.clamp(max=1)
        half = 0.5 * torch.tensor(self.sides[k], device=feature.device).clamp(max=1)
        scale = torch.tensor([input_size[1], input_size[0]], device=feature.device)
        corners = torch.cat([(centre - half) * scale, (centre + half) * scale], dim=-1)
        return corners.reshape(-1, 4)


def _sides(ratios: Sequence[float], scale: float, next_scale: float) -> list[tuple[float, float]]:
    """Widths and heights as shares of the image's."""
    larger = math.sqrt(scale * next_scale)
    sides = [(scale, scale), (larger, larger)]
    for ratio in ratios:
        long, short = scale * math.sqrt(ratio), scale / math.sqrt(ratio)
        sides += [(long, short), (short, long)]
    return sides
