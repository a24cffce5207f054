"""Fixed-size features of boxes: RoIAlign, RoIPool and RoIAlign of rotated boxes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from fastcv.ops._roi import RoIModule, as_pair, as_rois, empty_in_format_of, register_linear
from fastcv.ops._script import BroadcastingList2


@torch.fx.wrap
def roi_align(
    input: Tensor,
    boxes: Tensor | list[Tensor],
    output_size: BroadcastingList2[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Tensor:
    """RoIAlign: the mean of bilinear samples in every bin of every box.

    Args:
        input: ``[N, C, H, W]`` features, float64, float32, float16 or bfloat16; NCHW and
            channels_last are both read as they lie.
        boxes: ``[K, 5]`` as ``(image, x1, y1, x2, y2)``, or a list with one ``[L, 4]`` for each
            image, any float dtype; in units of ``input``'s pixels / ``spatial_scale``.
        output_size: bins as ``(height, width)``, or one number for both.
        spatial_scale: pixels of ``input`` per unit of ``boxes``.
        sampling_ratio: samples of a bin along each axis; 0 or less: one for every pixel begun.
        aligned: whether pixel 0 has its centre at 0.5 (exact) or at 0 (as the first detectors
            were trained, where boxes are also at least one pixel wide and high).

    Returns:
        ``[K, C, height, width]`` in the dtype and memory format of ``input``. Boxes with
        ``x2 < x1`` or ``y2 < y1`` (unless ``sampling_ratio > 0``), NaN or infinite corners give 0.
        Differentiable, twice, with respect to ``input``; deterministic on every device.

    Raises:
        RuntimeError: shapes, dtypes, devices or numbers do not fit; on the CPU, a box names an
            image that is not in the batch (on CUDA such a box gives 0).
        TypeError, ValueError: ``boxes`` is no tensor and no list of ``[L, 4]`` tensors, or
            ``output_size`` is no pair.

    Source: He et al., "Mask R-CNN" (2017), section 3.

    Example:
        >>> import torch, fastcv
        >>> features = torch.arange(16.0).reshape(1, 1, 4, 4)
        >>> boxes = torch.tensor([[0, 0.0, 0.0, 4.0, 4.0]])
        >>> fastcv.ops.roi_align(features, boxes, output_size=2, aligned=True)
        tensor([[[[ 2.5000,  4.5000],
                  [10.5000, 12.5000]]]])
    """
    height, width = as_pair("roi_align", output_size)
    rois = as_rois("roi_align", boxes, 4)
    return torch.ops.fastcv.roi_align(
        input, rois, spatial_scale, height, width, sampling_ratio, aligned
    )


@torch.fx.wrap
def roi_pool(
    input: Tensor,
    boxes: Tensor | list[Tensor],
    output_size: BroadcastingList2[int],
    spatial_scale: float = 1.0,
) -> Tensor:
    """RoIPool: the maximum of every bin of every box.

    Args:
        input: ``[N, C, H, W]`` features, float64, float32, float16 or bfloat16; NCHW and
            channels_last are both read as they lie.
        boxes: ``[K, 5]`` as ``(image, x1, y1, x2, y2)``, or a list with one ``[L, 4]`` for each
            image, any float dtype; in units of ``input``'s pixels / ``spatial_scale``, rounded to
            whole pixels, both corners included.
        output_size: bins as ``(height, width)``, or one number for both.
        spatial_scale: pixels of ``input`` per unit of ``boxes``.

    Returns:
        ``[K, C, height, width]`` in the dtype and memory format of ``input``; 0 where a bin holds
        no pixel. Differentiable, twice, with respect to ``input``; deterministic on every device.

    Raises:
        RuntimeError: shapes, dtypes, devices or numbers do not fit; on the CPU, a box names an
            image that is not in the batch (on CUDA such a box gives 0).
        TypeError, ValueError: ``boxes`` is no tensor and no list of ``[L, 4]`` tensors, or
            ``output_size`` is no pair.

    Source: Girshick, "Fast R-CNN" (2015), section 2.1.

    Example:
        >>> import torch, fastcv
        >>> features = torch.arange(16.0).reshape(1, 1, 4, 4)
        >>> fastcv.ops.roi_pool(features, torch.tensor([[0, 0.0, 0.0, 3.0, 3.0]]), output_size=2)
        tensor([[[[ 5.,  7.],
                  [13., 15.]]]])
    """
    height, width = as_pair("roi_pool", output_size)
    rois = as_rois("roi_pool", boxes, 4)
    return torch.ops.fastcv.roi_pool(input, rois, spatial_scale, height, width)[0]


@torch.fx.wrap
def roi_align_rotated(
    input: Tensor,
    boxes: Tensor | list[Tensor],
    output_size: BroadcastingList2[int],
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = True,
) -> Tensor:
    """RoIAlign of rotated boxes: bins run along the box's own sides.

    Args:
        input: ``[N, C, H, W]`` features, float64, float32, float16 or bfloat16; NCHW and
            channels_last are both read as they lie.
        boxes: ``[K, 6]`` as ``(image, cx, cy, w, h, angle)``, or a list with one ``[L, 5]``
            for each image, any float dtype; centre and sides in units of ``input``'s pixels /
            ``spatial_scale``, angle in degrees, counter-clockwise as seen on the screen (y down).
        output_size: bins as ``(height, width)``, or one number for both.
        spatial_scale: pixels of ``input`` per unit of ``boxes``.
        sampling_ratio: samples of a bin along each axis; 0 or less: one for every pixel begun.
        aligned: whether pixel 0 has its centre at 0.5 or at 0 (then boxes are also at least one
            pixel wide and high).

    Returns:
        ``[K, C, height, width]`` in the dtype and memory format of ``input``; 0 for boxes with a
        negative side or with anything NaN or infinite. Differentiable, twice, with respect to
        ``input``; deterministic on every device.

    Raises:
        RuntimeError: shapes, dtypes, devices or numbers do not fit; on the CPU, a box names an
            image that is not in the batch (on CUDA such a box gives 0).
        TypeError, ValueError: ``boxes`` is no tensor and no list of ``[L, 5]`` tensors, or
            ``output_size`` is no pair.

    Source: Huang et al., "RRPN++" (2020); as in Detectron2.

    Example:
        >>> import torch, fastcv
        >>> features = torch.arange(16.0).reshape(1, 1, 4, 4)
        >>> upright = torch.tensor([[0, 2.0, 2.0, 4.0, 4.0, 0.0]])
        >>> fastcv.ops.roi_align_rotated(features, upright, output_size=2)
        tensor([[[[ 2.5000,  4.5000],
                  [10.5000, 12.5000]]]])
    """
    height, width = as_pair("roi_align_rotated", output_size)
    rois = as_rois("roi_align_rotated", boxes, 5)
    return torch.ops.fastcv.roi_align_rotated(
        input, rois, spatial_scale, height, width, sampling_ratio, aligned
    )


class RoIAlign(RoIModule):
    """``roi_align`` as a module; see there.

    Example:
        >>> import torch, fastcv
        >>> pool = fastcv.ops.RoIAlign(7, spatial_scale=0.25, sampling_ratio=2, aligned=True)
        >>> pool(torch.rand(1, 16, 50, 50), [torch.tensor([[8.0, 8.0, 120.0, 96.0]])]).shape
        torch.Size([1, 16, 7, 7])
    """

    def __init__(
        self,
        output_size: BroadcastingList2[int],
        spatial_scale: float,
        sampling_ratio: int,
        aligned: bool = False,
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned

    def forward(self, input: Tensor, rois: Tensor | list[Tensor]) -> Tensor:
        return roi_align(
            input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned
        )


class RoIPool(RoIModule):
    """``roi_pool`` as a module; see there.

    Example:
        >>> import torch, fastcv
        >>> pool = fastcv.ops.RoIPool(7, spatial_scale=0.25)
        >>> pool(torch.rand(1, 16, 50, 50), [torch.tensor([[8.0, 8.0, 120.0, 96.0]])]).shape
        torch.Size([1, 16, 7, 7])
    """

    def __init__(self, output_size: BroadcastingList2[int], spatial_scale: float) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale

    def forward(self, input: Tensor, rois: Tensor | list[Tensor]) -> Tensor:
        return roi_pool(input, rois, self.output_size, self.spatial_scale)


register_linear("roi_align")
register_linear("roi_align_rotated")


@torch.library.register_fake("fastcv::roi_pool")
def _(
    input: Tensor, rois: Tensor, spatial_scale: float, height: int, width: int
) -> tuple[Tensor, Tensor]:
    output = empty_in_format_of(input, (rois.shape[0], input.shape[1], height, width))
    return output, torch.empty_like(output, dtype=torch.int32)


@torch.library.register_fake("fastcv::_roi_pool_backward")
def _(grad: Tensor, rois: Tensor, argmax: Tensor, spatial_scale: float, *sizes: int) -> Tensor:
    return empty_in_format_of(grad, sizes)


def _remember(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(inputs[1], output[1])
    ctx.mark_non_differentiable(output[1])
    ctx.arguments = (inputs[2], *inputs[0].shape)


def _differentiate(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
    rois, argmax = ctx.saved_tensors
    grad_input = torch.ops.fastcv._roi_pool_backward(grad, rois, argmax, *ctx.arguments)
    return grad_input, None, None, None, None


def _remember_backward(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[1], inputs[2])


def _differentiate_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    # What reached a pixel came from the bins that chose it: they read it back.
    rois, argmax = ctx.saved_tensors
    # A RoI of no image (CUDA only) has an argmax of -1: which image it asks makes no difference.
    image = rois[:, 0].long().clamp(0, max(grad.shape[0] - 1, 0))[:, None].expand(argmax.shape[:2])
    channel = torch.arange(grad.shape[1], device=grad.device).expand(argmax.shape[:2])
    pixel = argmax.long().clamp(min=0)
    values = grad.flatten(2)[image[..., None, None], channel[..., None, None], pixel]
    return values * (argmax >= 0), None, None, None, None, None, None, None


torch.library.register_autograd("fastcv::roi_pool", _differentiate, setup_context=_remember)
torch.library.register_autograd(
    "fastcv::_roi_pool_backward", _differentiate_backward, setup_context=_remember_backward
)
