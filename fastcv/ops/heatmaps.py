"""Landmarks as heatmaps, and heatmaps as landmarks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def encode_heatmaps(
    points: Tensor,
    size: tuple[int, int],
    sigma: float,
    kind: str = "gaussian",
    scaled: bool = True,
) -> Tensor:
    """A heatmap for each point: high at its place, lower the farther a cell is away.

    With d the distance of a cell's centre to the point:

    - ``"gaussian"``: ``exp(-d^2 / (2 sigma^2))``;
    - ``"cauchy"``: ``1 / (1 + d^2 / sigma^2)``; its tails are wider.

    A point need not lie at a cell's centre: a heatmap says where between the cells it is, and
    ``decode_heatmaps`` reads that. There is no window: every cell has a value.

    Args:
        points: ``[..., 2]``, x and y in cells: whole numbers are cells' centres; float64, float32,
            float16 or bfloat16. A point that is NaN or infinite is not there: its heatmap is zero.
        size: height and width of a heatmap.
        sigma: how wide, in cells.
        kind: ``"gaussian"`` or ``"cauchy"``.
        scaled: the highest value is 1. False: a Cauchy bump is ``1 / (sigma^2 + d^2)``, at most
            ``1 / sigma^2``; a Gaussian one is the same.

    Returns:
        ``[..., height, width]`` of the points' dtype, computed in float32 (float64 for float64).
        Differentiable, once, in every cell.

    Raises:
        RuntimeError: points of another shape or dtype, another kind, a size under 1, or a sigma
            that is not above 0.

    Source: Newell et al., "Stacked Hourglass Networks for Human Pose Estimation" (2016), section
        3.3.

    Example:
        >>> import torch, fastcv
        >>> point = torch.tensor([1.0, 0.0])
        >>> fastcv.ops.encode_heatmaps(point, (2, 4), sigma=1.0)
        tensor([[0.6065, 1.0000, 0.6065, 0.1353],
                [0.3679, 0.6065, 0.3679, 0.0821]])
        >>> fastcv.ops.encode_heatmaps(point, (1, 4), sigma=2.0, kind="cauchy")
        tensor([[0.8000, 1.0000, 0.8000, 0.5000]])
    """
    return torch.ops.fastcv.encode_heatmaps(points, size[0], size[1], sigma, kind, scaled)


def decode_heatmaps(heatmaps: Tensor, kind: str = "gaussian") -> tuple[Tensor, Tensor]:
    """Where each heatmap is highest, to a fraction of a cell, and how high.

    The highest cell's neighbours tell on which side of its centre the point lies. A Gaussian
    bump's logarithm is a parabola along x and along y, and so is a Cauchy bump's reciprocal. The
    parabola through the highest cell and its two neighbours has its end at the point; at a border
    it goes through the three cells next to it.

    Args:
        heatmaps: ``[..., H, W]``, float64, float32, float16 or bfloat16.
        kind: ``"gaussian"`` or ``"cauchy"``, as for ``encode_heatmaps``; or ``"quarter"``: a
            quarter of a cell towards the higher neighbour, and the left or upper one where they are
            the same, as Newell et al. do.

    Returns:
        points: ``[..., 2]``, x and y in cells, at most half a cell from the highest one's centre.
        scores: ``[...]``, the highest value. Where it is 0 or less, or infinite, the point is its
            cell. Of a heatmap with a NaN both are NaN. They have no gradient.

    Raises:
        RuntimeError: heatmaps of another shape or dtype, or another kind.

    Source: Newell et al., "Stacked Hourglass Networks for Human Pose Estimation" (2016), section
        4.1, for quarters; Zhang et al., "Distribution-Aware Coordinate Representation for Human
        Pose Estimation" (2020), section 3.1, for the logarithm.

    Example:
        >>> import torch, fastcv
        >>> heatmap = fastcv.ops.encode_heatmaps(torch.tensor([2.3, 0.8]), (4, 6), sigma=1.5)
        >>> fastcv.ops.decode_heatmaps(heatmap)
        (tensor([2.3000, 0.8000]), tensor(0.9715))
    """
    return torch.ops.fastcv.decode_heatmaps(heatmaps, kind)


@torch.library.register_fake("fastcv::encode_heatmaps")
def _(points: Tensor, height: int, width: int, sigma: float, kind: str, scaled: bool) -> Tensor:
    torch._check(
        points.dim() >= 1 and points.shape[-1] == 2,
        lambda: f"encode_heatmaps: points must have shape [..., 2], got {list(points.shape)}",
    )
    return points.new_empty(*points.shape[:-1], height, width)


@torch.library.register_fake("fastcv::_encode_heatmaps_backward")
def _(grad: Tensor, points: Tensor, sigma: float, kind: str, scaled: bool) -> Tensor:
    return points.new_empty(points.shape)


@torch.library.register_fake("fastcv::decode_heatmaps")
def _(heatmaps: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    torch._check(
        heatmaps.dim() >= 2,
        lambda: (
            "decode_heatmaps: heatmaps must have shape [..., H, W], H and W at least 1, got "
            f"{list(heatmaps.shape)}"
        ),
    )
    shape = heatmaps.shape[:-2]
    return heatmaps.new_empty(*shape, 2), heatmaps.new_empty(shape)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    points, _, _, ctx.sigma, ctx.kind, ctx.scaled = inputs
    ctx.save_for_backward(points)


def _differentiate(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    (points,) = ctx.saved_tensors
    by_points = torch.ops.fastcv._encode_heatmaps_backward(
        grad, points, ctx.sigma, ctx.kind, ctx.scaled
    )
    return by_points, None, None, None, None, None


def _refuse(ctx: Any, *grads: Tensor) -> None:
    raise RuntimeError(
        "encode_heatmaps: the gradient of its gradient is not implemented; call backward without "
        "create_graph"
    )


torch.library.register_autograd("fastcv::encode_heatmaps", _differentiate, setup_context=_remember)
torch.library.register_autograd("fastcv::_encode_heatmaps_backward", _refuse)
