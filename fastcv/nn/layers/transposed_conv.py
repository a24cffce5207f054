"""Upsampling by transposed convolution, and where its kernels overlap."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastcv.ops import conv_transpose2d


class ConvTranspose2d(nn.ConvTranspose2d):
    """:class:`torch.nn.ConvTranspose2d` on :func:`fastcv.ops.conv_transpose2d`.

    The same arguments, attributes and state dict; a model changes over by changing the import.

    Example:
        >>> import torch
        >>> from fastcv.nn.layers.transposed_conv import ConvTranspose2d
        >>> ConvTranspose2d(8, 4, kernel_size=2, stride=2)(torch.rand(1, 8, 5, 7)).shape
        torch.Size([1, 4, 10, 14])
    """

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """``[N, C, H, W]`` (or ``[C, H, W]``) upsampled; ``output_size`` as in torch's."""
        extra = self._output_padding(
            input,
            output_size,
            list(self.stride),
            list(self.padding),  # type: ignore[arg-type]  # never a string for a transposed one
            list(self.kernel_size),
            2,
            list(self.dilation),
        )
        return conv_transpose2d(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,  # type: ignore[arg-type]  # as above
            extra,
            self.groups,
            self.dilation,
        )


def bilinear_kernel(channels: int, kernel_size: int) -> Tensor:
    """Weights with which a transposed convolution interpolates linearly, channel by channel.

    For upsampling by ``s``: ``kernel_size=2 * s - s % 2, stride=s, padding=s // 2,
    groups=channels``.

    Args:
        channels: C.
        kernel_size: k.

    Returns:
        ``[C, 1, k, k]`` float32, to be copied into the weight of a :class:`ConvTranspose2d`.

    Raises:
        ValueError: a number below 1.

    Source:
        Long et al., "Fully convolutional networks for semantic segmentation" (2015), section 3.3.

    Example:
        >>> from fastcv.nn.layers.transposed_conv import bilinear_kernel
        >>> bilinear_kernel(1, 4)[0, 0, 1]
        tensor([0.1875, 0.5625, 0.5625, 0.1875])
    """
    if channels < 1 or kernel_size < 1:
        raise ValueError(
            f"channels and kernel_size must be at least 1, got {channels} and {kernel_size}"
        )
    half = (kernel_size + 1) // 2
    centre = (kernel_size - 1) / 2
    line = 1 - (torch.arange(kernel_size) - centre).abs() / half
    return torch.outer(line, line).repeat(channels, 1, 1, 1)


def overlap_map(kernel_size: int, stride: int, size: int) -> Tensor:
    """How many kernels reach each output pixel of a transposed convolution.

    Where that number alternates, an untrained layer draws a checkerboard, and a trained one has to
    learn its way around it. It is even, away from the border, where the stride divides the kernel.

    Args:
        kernel_size: k.
        stride: s.
        size: pixels of input along each axis.

    Returns:
        ``[(size - 1) * s + k] * 2``, float32.

    Source:
        Odena et al., "Deconvolution and checkerboard artifacts" (2016).

    Example:
        >>> from fastcv.nn.layers.transposed_conv import overlap_map
        >>> overlap_map(kernel_size=3, stride=2, size=3)[0]
        tensor([1., 1., 2., 1., 2., 1., 1.])
    """
    ones = torch.ones(1, 1, kernel_size, kernel_size)
    return conv_transpose2d(torch.ones(1, 1, size, size), ones, stride=stride)[0, 0]
