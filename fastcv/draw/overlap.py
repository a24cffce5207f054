"""The checkerboard that transposed convolutions may draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv._extras import need

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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
    # Here, so that results draw themselves without loading the ops.
    from fastcv.nn.layers.transposed_conv import overlap_map

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
    from fastcv.ops import conv_transpose2d

    generator = torch.Generator().manual_seed(0)
    weight = torch.rand(1, 1, kernel_size, kernel_size, generator=generator)
    image = torch.ones(1, 1, size, size)
    transposed = conv_transpose2d(image, weight, stride=stride)
    resized = F.interpolate(image, scale_factor=stride, mode="nearest")
    # The border repeated: what is left to see is the kernel's doing.
    before, behind = kernel_size // 2, (kernel_size - 1) // 2
    padded = F.pad(resized, (before, behind, before, behind), mode="replicate")
    return transposed[0, 0], F.conv2d(padded, weight)[0, 0]
