"""Transposed and atrous separable convolution against PyTorch's own (oneDNN)."""

import pytest
import torch
from torch.nn import functional as F

import fastcv.ops as ops

FORMATS = [torch.contiguous_format, torch.channels_last]
NAMES = {torch.contiguous_format: "NCHW", torch.channels_last: "channels_last"}

# name: input, weight, stride, padding, groups, targets in NCHW and channels_last
TRANSPOSED = {
    "k2 s2, 256 -> 128, 64^2": ((1, 256, 64, 64), (256, 128, 2, 2), 2, 0, 1, (1.6, 1.1)),
    "k4 s2 p1, 256 -> 128, 64^2": ((1, 256, 64, 64), (256, 128, 4, 4), 2, 1, 1, (1.0, 1.0)),
    "k64 s32, 21 groups, 16^2": ((1, 21, 16, 16), (21, 1, 64, 64), 32, 0, 21, (5, 5)),
    "k16 s8, 21 groups, 34^2": ((1, 21, 34, 34), (21, 1, 16, 16), 8, 0, 21, (None, None)),
    "k4 s2 p1, 64 groups, 64^2": ((1, 64, 64, 64), (64, 1, 4, 4), 2, 1, 64, (1.0, 1.0)),
}


@pytest.mark.parametrize("memory_format", FORMATS, ids=NAMES.values())
@pytest.mark.parametrize("name", TRANSPOSED)
def test_conv_transpose2d(compare, threads, name, memory_format):
    shape, weight_shape, stride, padding, groups, targets = TRANSPOSED[name]
    g = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=g).contiguous(memory_format=memory_format)
    weight = torch.randn(weight_shape, generator=g)
    # Upsampling of single channels has no bias; with one, torch's takes up to four times as long.
    bias = torch.randn(weight_shape[1], generator=g) if groups == 1 else None
    arguments = (x, weight, bias, stride, padding, 0, groups)
    compare(
        "conv_transpose2d",
        f"{name}, {NAMES[memory_format]}",
        lambda: ops.conv_transpose2d(*arguments),
        lambda: F.conv_transpose2d(*arguments),
        peer_name="torch",
        target=targets[FORMATS.index(memory_format)],
    )


def separable(compare, size, rate, memory_format, dtype, work, target):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(1, 256, size, size, generator=g).to(dtype, memory_format=memory_format)
    depthwise = torch.randn(256, 1, 3, 3, generator=g).to(dtype)
    pointwise = (torch.randn(256, 256, 1, 1, generator=g) / 16).to(dtype)
    compare(
        "atrous_separable_conv2d",
        f"256 -> 256, {size}^2, rate {rate}, {work}",
        lambda: ops.atrous_separable_conv2d(x, depthwise, pointwise, padding=rate, dilation=rate),
        lambda: F.conv2d(F.conv2d(x, depthwise, None, 1, rate, rate, 256), pointwise),
        peer_name="conv2d + 1x1",
        target=target,
    )


@pytest.mark.parametrize("memory_format", FORMATS, ids=NAMES.values())
@pytest.mark.parametrize("rate", [6, 12])
@pytest.mark.parametrize("size", [129, 33])
def test_atrous_separable_conv2d(compare, threads, size, rate, memory_format):
    nchw = {129: (2, 1.7), 33: (1.7, 1.4)}[size][threads - 1]
    target = nchw if memory_format == torch.contiguous_format else 3.5
    work = NAMES[memory_format]
    separable(compare, size, rate, memory_format, torch.float32, work, target)


@pytest.mark.parametrize("rate", [6, 12])
@pytest.mark.parametrize("size", [129, 33])
def test_atrous_separable_conv2d_in_bfloat16(compare, threads, size, rate):
    last, work = torch.channels_last, "channels_last, bfloat16"
    separable(compare, size, rate, last, torch.bfloat16, work, 1)
