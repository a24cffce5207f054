"""Points as offsets from a box, the numbers that a detector regresses for landmarks."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class PointCoder:
    """Offsets from a prior's centre in units of its sides.

    Args:
        weight: a factor of the offsets; it brings the targets to a spread near 1.

    Source: Deng et al., "RetinaFace" (2020), section 3.1.

    Example:
        >>> import torch
        >>> from fastcv.nn.detection.point_coder import PointCoder
        >>> prior, points = torch.tensor([[0.0, 0, 10, 20]]), torch.tensor([[[5.0, 10], [10, 0]]])
        >>> offsets = PointCoder().encode(points, prior)
        >>> offsets
        tensor([[[ 0.,  0.],
                 [ 5., -5.]]])
        >>> PointCoder().decode(offsets, prior)
        tensor([[[ 5., 10.],
                 [10.,  0.]]])
    """

    weight: float = 10.0

    def encode(self, points: Tensor, priors: Tensor) -> Tensor:
        """Offsets ``[N, K, 2]`` of points ``[N, K, 2]`` from priors ``[N, 4]`` (corners)."""
        centre, sides = _centre_and_sides(priors)
        return (points - centre) * (self.weight / sides)

    def decode(self, offsets: Tensor, priors: Tensor) -> Tensor:
        """Points ``[N, K, 2]`` as (x, y) of offsets ``[N, K, 2]`` and priors ``[N, 4]``."""
        centre, sides = _centre_and_sides(priors)
        return offsets / self.weight * sides + centre


def _centre_and_sides(priors: Tensor) -> tuple[Tensor, Tensor]:
    low, high = priors[:, None, :2], priors[:, None, 2:]
    return (low + high) / 2, high - low
