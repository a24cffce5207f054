"""Upsampling by transposed convolution, and the checkerboard that it may draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv._extras import need
from fastcv.ops import conv_transpose2d

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class ConvTranspose2d(nn.ConvTranspose2d):
    """:class:`torch.nn.ConvTranspose2d` on :func:`fastcv.ops.conv_transpose2d`.

    The same arguments, attributes and state dict; a model changes over by changing the import.

    Example:
        >>> import torch
        >>> from fastcv.nn.transposed_conv import ConvTranspose2d
        >>> ConvTranspose2d(8, 4, kernel_size=2, stride=2)(torch.rand(1, 8, 5, 7)).shape
        torch.Size([1, 4, 10, 14])
    """

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """``[N, C, H, W]`` (or ``[C, H, W]``) upsampled; ``output_size`` as in torch's."""
        extra = self._output_padding(
            input,
            output_size,
            list(self.stride),
            list(self.padding),  # type: ignore[arg-type]
            list(self.kernel_size),
            2,
            list(self.dilation),
        )
        return conv_transpose2d(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,  # type: ignore[arg-type]
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
        >>> from fastcv.nn.transposed_conv import bilinear_kernel
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
        >>> from fastcv.nn.transposed_conv import overlap_map
        >>> overlap_map(kernel_size=3, stride=2, size=3)[0]
        tensor([1., 1., 2., 1., 2., 1., 1.])
    """
    ones = torch.ones(1, 1, kernel_size, kernel_size)
    return conv_transpose2d(torch.ones(1, 1, size, size), ones, stride=stride)[0, 0]


def draw_overlap(kernels: Sequence[tuple[int, int]], size: int = 8) -> Figure:
    """The checkerboard of transposed convolutions, beside resize + convolution, as a figure.

    A row for each kernel. Left its overlap map; in the middle what the transposed convolution makes
    of a constant image, with random weights; right what resizing to the nearest pixel and a plain
    convolution with the same weights make of it.

    Args:
        kernels: (kernel size, stride) of each.
        size: pixels of input along each axis.

    Returns:
        A matplotlib figure of ``len(kernels)`` x 3 panels.
    """
    plt = need("matplotlib.pyplot", extra="viz")
    shape = (len(kernels), 3)
    figure, axes = plt.subplots(
        *shape, figsize=(9, 2.9 * shape[0]), layout="constrained", squeeze=False
    )
    for row, (kernel_size, stride) in zip(axes, kernels, strict=True):
        transposed, resized = _of_a_constant(kernel_size, stride, size)
        panels = {
            f"kernels at each pixel, k={kernel_size} s={stride}": overlap_map(
                kernel_size, stride, size
            ),
            "transposed convolution": transposed,
            "resize, then convolution": resized,
        }
        for axis, (title, values) in zip(row, panels.items(), strict=True):
            top = values.max().item()
            drawn = axis.imshow(values.numpy(), vmin=0, vmax=top, interpolation="nearest")
            axis.set_title(title, fontsize=10)
            axis.set_axis_off()
            figure.colorbar(drawn, ax=axis, shrink=0.8)
    return figure


def _of_a_constant(kernel_size: int, stride: int, size: int) -> tuple[Tensor, Tensor]:
    """What transposed convolution, and resize + convolution, make of an image of ones."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.rand(1, 1, kernel_size, kernel_size, generator=generator)
    image = torch.ones(1, 1, size, size)
    transposed = conv_transpose2d(image, weight, stride=stride)
    resized = F.interpolate(image, scale_factor=stride, mode="nearest")
    # The border repeated: what is left to see is the kernel's doing.
    before, behind = kernel_size // 2, (kernel_size - 1) // 2
    padded = F.pad(resized, (before, behind, before, behind), mode="replicate")
    return transposed[0, 0], F.conv2d(padded, weight)[0, 0]
