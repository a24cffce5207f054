"""Position-sensitive pooling: every bin of a box is read from channels of its own."""

from __future__ import annotations

import torch
from torch import Tensor

from fastcv.ops._roi import RoIModule, as_pair, as_rois, register_linear
from fastcv.ops._script import BroadcastingList2


@torch.fx.wrap
def ps_roi_align(
    input: Tensor,
    boxes: Tensor | list[Tensor],
    output_size: BroadcastingList2[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
) -> Tensor:
    """Position-sensitive RoIAlign: the mean of bilinear samples, each bin from its own channels.

    Args:
        input: ``[N, C * height * width, H, W]`` features, float64, float32, float16 or bfloat16.
        boxes: ``[K, 5]`` as ``(image, x1, y1, x2, y2)``, or a list with one ``[L, 4]`` for each
            image, any float dtype; in units of ``input``'s pixels / ``spatial_scale``.
        output_size: bins as ``(height, width)``, or one number for both.
        spatial_scale: pixels of ``input`` per unit of ``boxes``.
        sampling_ratio: samples of a bin along each axis; 0 or less: one for every pixel begun.

    Returns:
        ``[K, C, height, width]`` in the dtype and memory format of ``input``; bin ``(i, j)`` of
        channel ``c`` is read from channel ``(c * height + i) * width + j``. Boxes with
        ``x2 < x1`` or ``y2 < y1`` (unless ``sampling_ratio > 0``), NaN or infinite corners give 0.
        Differentiable, twice, with respect to ``input``; deterministic on every device.

    Raises:
        RuntimeError: shapes, dtypes, devices or numbers do not fit, or the channels are no multiple
            of the bins; on the CPU, a box names an image that is not in the batch (on CUDA such a
            box gives 0).
        TypeError, ValueError: ``boxes`` is no tensor and no list of ``[L, 4]`` tensors, or
            ``output_size`` is no pair.

    Source: Li et al., "Light-Head R-CNN" (2017), section 3.2.

    Example:
        >>> import torch, fastcv
        >>> features = torch.arange(4.0).reshape(1, 4, 1, 1).expand(1, 4, 8, 8)
        >>> boxes = torch.tensor([[0, 0.0, 0.0, 6.0, 6.0]])
        >>> fastcv.ops.ps_roi_align(features, boxes, output_size=2)
        tensor([[[[0., 1.],
                  [2., 3.]]]])
    """
    height, width = as_pair("ps_roi_align", output_size)
    rois = as_rois("ps_roi_align", boxes, 4)
    return torch.ops.fastcv.ps_roi_align(input, rois, spatial_scale, height, width, sampling_ratio)


@torch.fx.wrap
def ps_roi_pool(
    input: Tensor,
    boxes: Tensor | list[Tensor],
    output_size: BroadcastingList2[int],
    spatial_scale: float = 1.0,
) -> Tensor:
    """Position-sensitive RoIPool: the mean of every bin, each bin from its own channels.

    Args:
        input: ``[N, C * height * width, H, W]`` features, float64, float32, float16 or bfloat16.
        boxes: ``[K, 5]`` as ``(image, x1, y1, x2, y2)``, or a list with one ``[L, 4]`` for each
            image, any float dtype; in units of ``input``'s pixels / ``spatial_scale``, rounded to
            whole pixels. As in torchvision, the last row and column of ``input`` are never read.
        output_size: bins as ``(height, width)``, or one number for both.
        spatial_scale: pixels of ``input`` per unit of ``boxes``.

    Returns:
        ``[K, C, height, width]`` in the dtype and memory format of ``input``; bin ``(i, j)`` of
        channel ``c`` is read from channel ``(c * height + i) * width + j``. Bins
        that hold no pixel give 0.
        Differentiable, twice, with respect to ``input``; deterministic on every device.

    Raises:
        RuntimeError: shapes, dtypes, devices or numbers do not fit, or the channels are no multiple
            of the bins; on the CPU, a box names an image that is not in the batch (on CUDA such a
            box gives 0).
        TypeError, ValueError: ``boxes`` is no tensor and no list of ``[L, 4]`` tensors, or
            ``output_size`` is no pair.

    Source: Dai et al., "R-FCN" (2016), equation 1.

    Example:
        >>> import torch, fastcv
        >>> features = torch.arange(4.0).reshape(1, 4, 1, 1).expand(1, 4, 8, 8)
        >>> boxes = torch.tensor([[0, 0.0, 0.0, 6.0, 6.0]])
        >>> fastcv.ops.ps_roi_pool(features, boxes, output_size=2)
        tensor([[[[0., 1.],
                  [2., 3.]]]])
    """
    height, width = as_pair("ps_roi_pool", output_size)
    rois = as_rois("ps_roi_pool", boxes, 4)
    return torch.ops.fastcv.ps_roi_pool(input, rois, spatial_scale, height, width)


class PSRoIAlign(RoIModule):
    """``ps_roi_align`` as a module; see there.

    Example:
        >>> import torch, fastcv
        >>> pool = fastcv.ops.PSRoIAlign(3, spatial_scale=0.25, sampling_ratio=2)
        >>> pool(torch.rand(1, 18, 50, 50), [torch.tensor([[8.0, 8.0, 120.0, 96.0]])]).shape
        torch.Size([1, 2, 3, 3])
    """

    def __init__(
        self, output_size: BroadcastingList2[int], spatial_scale: float, sampling_ratio: int
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio

    def forward(self, input: Tensor, rois: Tensor | list[Tensor]) -> Tensor:
        return ps_roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio)


class PSRoIPool(RoIModule):
    """``ps_roi_pool`` as a module; see there.

    Example:
        >>> import torch, fastcv
        >>> pool = fastcv.ops.PSRoIPool(3, spatial_scale=0.25)
        >>> pool(torch.rand(1, 18, 50, 50), [torch.tensor([[8.0, 8.0, 120.0, 96.0]])]).shape
        torch.Size([1, 2, 3, 3])
    """

    def __init__(self, output_size: BroadcastingList2[int], spatial_scale: float) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale

    def forward(self, input: Tensor, rois: Tensor | list[Tensor]) -> Tensor:
        return ps_roi_pool(input, rois, self.output_size, self.spatial_scale)


register_linear("ps_roi_align")
register_linear("ps_roi_pool")
