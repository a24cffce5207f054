"""Deformable convolutions as modules: with offsets given, and with offsets that they predict."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from fastcv.ops.deform_conv import deform_conv2d, pair


class DeformConv2d(nn.Module):
    """A deformable convolution of offsets that are given: ``deform_conv2d`` with weights.

    Parameters, their names and their initial values are those of ``torchvision.ops.DeformConv2d``.

    Args:
        in_channels: ``C``, channels of the input.
        out_channels: ``O``, channels of the output.
        kernel_size: taps as ``(height, width)``, or one number for both.
        stride: pixels of the input from one output pixel to the next, likewise.
        padding: pixels of zeros around the input, likewise.
        dilation: pixels of the input from one tap to the next, likewise.
        groups: groups of channels, as in ``torch.nn.Conv2d``.
        bias: whether a bias is added.

    Raises:
        ValueError: ``groups`` does not divide the channels, or a size is no pair.

    Source: Dai et al., "Deformable Convolutional Networks" (2017).

    Example:
        >>> import torch
        >>> from fastcv.nn.layers.deform_conv import DeformConv2d
        >>> conv = DeformConv2d(8, 16, 3, padding=1)
        >>> conv(torch.rand(1, 8, 10, 10), offset=torch.zeros(1, 2 * 9, 10, 10)).shape
        torch.Size([1, 16, 10, 10])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        for name, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            if channels % groups != 0:
                raise ValueError(
                    f"{type(self).__name__}: {name} must be a multiple of groups = {groups}, "
                    f"got {channels}"
                )
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size = pair("kernel_size", kernel_size)
        self.stride = pair("stride", stride)
        self.padding = pair("padding", padding)
        self.dilation = pair("dilation", dilation)
        self.weight = nn.Parameter(
            torch.empty(out_channels, in_channels // groups, *self.kernel_size)
        )
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights as ``torch.nn.Conv2d`` does."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(max(self.weight[0].numel(), 1))
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:
        """``deform_conv2d`` of ``input [N, C, H, W]``; ``offset`` and ``mask`` as there."""
        return deform_conv2d(
            input,
            offset,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            self.dilation,
            mask,
        )

    def extra_repr(self) -> str:
        shown = f"{self.in_channels}, {self.out_channels}"
        shown += f", kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0, 0):
            shown += f", padding={self.padding}"
        if self.dilation != (1, 1):
            shown += f", dilation={self.dilation}"
        if self.groups != 1:
            shown += f", groups={self.groups}"
        if self.bias is None:
            shown += ", bias=False"
        return shown


class DeformConv2dPack(DeformConv2d):
    """A deformable convolution that predicts its own offsets and mask from its input.

    A plain convolution ``conv_offset`` predicts ``3 * D * KH * KW`` channels: the offsets as
    ``deform_conv2d`` takes them, then the masks before their sigmoid. It starts at zero, so that
    all samples start on the grid, and the mask is ``2 * sigmoid``, which starts at 1: in the
    beginning the module is the plain convolution of its weights.

    State dicts are those of common implementations, whether they call the convolution
    ``conv_offset`` or ``conv_offset_mask``. Where the mask was trained without the factor 2, give
    ``mask_scale=1``.

    Args:
        in_channels: ``C``, channels of the input.
        out_channels: ``O``, channels of the output.
        kernel_size: taps as ``(height, width)``, or one number for both.
        stride: pixels of the input from one output pixel to the next, likewise.
        padding: pixels of zeros around the input, likewise.
        dilation: pixels of the input from one tap to the next, likewise.
        groups: groups of channels, as in ``torch.nn.Conv2d``.
        bias: whether a bias is added.
        offset_groups: ``D``, groups of channels with offsets of their own.
        mask: whether masks are predicted (version 2) or only offsets (version 1).
        mask_scale: what the masks' sigmoid is multiplied with.

    Raises:
        ValueError: ``groups`` or ``offset_groups`` does not divide the channels, or a size is no
            pair.

    Source: Zhu et al., "Deformable ConvNets v2" (2018), section 3.2; there the factor is 1.

    Example:
        >>> import torch
        >>> from fastcv.nn.layers.deform_conv import DeformConv2dPack
        >>> conv, x = DeformConv2dPack(8, 16, 3, padding=1), torch.rand(1, 8, 10, 10)
        >>> plain = torch.nn.functional.conv2d(x, conv.weight, conv.bias, padding=1)
        >>> torch.allclose(conv(x), plain, atol=1e-5)
        True
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        offset_groups: int = 1,
        mask: bool = True,
        mask_scale: float = 2.0,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias
        )
        if in_channels % offset_groups != 0:
            raise ValueError(
                f"DeformConv2dPack: in_channels must be a multiple of offset_groups = "
                f"{offset_groups}, got {in_channels}"
            )
        self.offset_groups, self.mask, self.mask_scale = offset_groups, mask, mask_scale
        self.samples = offset_groups * self.kernel_size[0] * self.kernel_size[1]
        self.conv_offset = nn.Conv2d(
            in_channels,
            (3 if mask else 2) * self.samples,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
        )
        nn.init.zeros_(self.conv_offset.weight)
        if self.conv_offset.bias is not None:
            nn.init.zeros_(self.conv_offset.bias)

    def forward(self, input: Tensor) -> Tensor:  # type: ignore[override]  # predicts the rest
        """From ``[N, C, H, W]`` to ``[N, O, H', W']``."""
        predicted = self.conv_offset(input)
        offset = predicted[:, : 2 * self.samples]
        mask = predicted[:, 2 * self.samples :].sigmoid() * self.mask_scale if self.mask else None
        return super().forward(input, offset, mask)

    def extra_repr(self) -> str:
        shown = super().extra_repr()
        if self.offset_groups != 1:
            shown += f", offset_groups={self.offset_groups}"
        if not self.mask:
            shown += ", mask=False"
        elif self.mask_scale != 2.0:
            shown += f", mask_scale={self.mask_scale}"
        return shown

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        for name in ("weight", "bias"):
            other = f"{prefix}conv_offset_mask.{name}"
            if other in state_dict:
                state_dict[f"{prefix}conv_offset.{name}"] = state_dict.pop(other)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
