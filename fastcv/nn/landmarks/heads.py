"""Two ways to predict landmarks from a feature map: as numbers, and as heatmaps."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.ops import decode_heatmaps as decode
from fastcv.ops import encode_heatmaps as encode


class CoordinateHead(nn.Module):
    """The landmarks' coordinates from all cells of a feature map at once.

    A fully connected layer sees each place through weights of its own: what it learned in one
    place it does not know in another.

    Args:
        in_channels: of the feature map.
        num_points: K.
        size: height and width of the feature map.

    Source: Toshev and Szegedy, "DeepPose: Human Pose Estimation via Deep Neural Networks" (2014),
        section 3.1.

    Example:
        >>> import torch
        >>> from fastcv.nn.landmarks import CoordinateHead
        >>> head = CoordinateHead(8, num_points=5, size=(16, 16))
        >>> output = head(torch.rand(2, 8, 16, 16))
        >>> points, scores = head.points(output)
        >>> points.shape, scores.shape
        (torch.Size([2, 5, 2]), torch.Size([2, 5]))
    """

    def __init__(self, in_channels: int, num_points: int, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size
        self.fc = nn.Linear(in_channels * size[0] * size[1], 2 * num_points)
        # All points start near the middle.
        nn.init.normal_(self.fc.weight, std=0.001)
        nn.init.zeros_(self.fc.bias)

    def forward(self, features: Tensor) -> Tensor:
        """Coordinates ``[N, K, 2]``, (0, 0) the map's middle and (1, 1) its lower right end.

        Args:
            features: ``[N, in_channels, height, width]``.
        """
        return self.fc(features.flatten(1)).unflatten(1, (-1, 2))

    def points(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Points ``[N, K, 2]`` in cells, as ``decode`` has them, and scores ``[N, K]``: all 1.

        Args:
            output: of ``forward``.
        """
        half = output.new_tensor(self.size[::-1]) / 2
        return output * half + half - 0.5, torch.ones_like(output[..., 0])

    def loss(self, output: Tensor, points: Tensor) -> Tensor:
        """The mean distance along x and y, smooth below a cell; a scalar.

        Args:
            output: of ``forward``.
            points: ``[N, K, 2]`` in cells; NaN: not there, and it does not count.
        """
        there = points.isfinite().all(dim=-1, keepdim=True)
        own = self.points(output)[0]
        away = F.smooth_l1_loss(own, points.where(there, own.detach()), reduction="sum")
        return away / (2 * there.sum()).clamp(min=1)


class HeatmapHead(nn.Module):
    """A heatmap for each landmark, by the same weights at each place.

    Args:
        in_channels: of the feature map.
        num_points: K.
        sigma: of the heatmaps that it learns, in cells.
        kind: ``"gaussian"`` or ``"cauchy"``, as for ``encode``.

    Source: Tompson et al., "Joint Training of a Convolutional Network and a Graphical Model for
        Human Pose Estimation" (2014), section 3.1.

    Example:
        >>> import torch
        >>> from fastcv.nn.landmarks import HeatmapHead
        >>> head = HeatmapHead(8, num_points=5)
        >>> output = head(torch.rand(2, 8, 16, 16))
        >>> output.shape, head.points(output)[0].shape
        (torch.Size([2, 5, 16, 16]), torch.Size([2, 5, 2]))
    """

    def __init__(
        self, in_channels: int, num_points: int, sigma: float = 1.0, kind: str = "gaussian"
    ) -> None:
        super().__init__()
        self.sigma, self.kind = sigma, kind
        self.conv = nn.Conv2d(in_channels, in_channels, 3, padding=1)
        self.out = nn.Conv2d(in_channels, num_points, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Heatmaps ``[N, K, height, width]``.

        Args:
            features: ``[N, in_channels, height, width]``.
        """
        return self.out(F.relu(self.conv(features)))

    def points(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Points ``[N, K, 2]`` in cells and scores ``[N, K]``, as ``decode`` has them.

        Args:
            output: of ``forward``.
        """
        return decode(output, self.kind)

    def loss(self, output: Tensor, points: Tensor) -> Tensor:
        """The squared error of the heatmaps, a mean over their cells; a scalar.

        Args:
            output: of ``forward``.
            points: ``[N, K, 2]`` in cells; NaN: not there, and its heatmap is zero.
        """
        size = (output.shape[-2], output.shape[-1])
        heatmaps = encode(points.to(output), size, self.sigma, self.kind)
        return F.mse_loss(output, heatmaps)
