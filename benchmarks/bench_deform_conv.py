"""deform_conv2d against torchvision's, and what the offsets cost beside a plain convolution.

`extra_memory_mib` is measured for all, and at a size that no buffer fits.
"""

import pytest
import torch

import fastcv.ops as ops

torchvision = pytest.importorskip("torchvision")

SHAPE, OUT_CHANNELS = (2, 256, 64, 64), 256


def arguments(shape=SHAPE, fmt=torch.contiguous_format):
    """input, offset, weight, mask: 3 x 3 taps, padded, offsets of some pixels."""
    g = torch.Generator().manual_seed(0)
    batch, channels, height, width = shape
    return (
        torch.randn(shape, generator=g).contiguous(memory_format=fmt),
        torch.randn(batch, 18, height, width, generator=g) * 2,
        torch.randn(OUT_CHANNELS, channels, 3, 3, generator=g) / 48,
        torch.rand(batch, 9, height, width, generator=g),
    )


def call(module, x, offset, weight, mask):
    return module.deform_conv2d(x, offset, weight, None, 1, 1, 1, mask)


@pytest.mark.parametrize("masked", [False, True], ids=["v1", "mask"])
def test_forward(compare, threads, masked):
    x, offset, weight, mask = arguments()
    mask = mask if masked else None
    compare(
        "deform_conv2d",
        f"forward, NCHW{', mask' * masked}",
        lambda: call(ops, x, offset, weight, mask),
        lambda: call(torchvision.ops, x, offset, weight, mask),
        target=(4.5, 8)[threads - 1],
    )


def test_forward_channels_last(compare, threads):
    x, offset, weight, mask = arguments(fmt=torch.channels_last)
    compare(
        "deform_conv2d",
        "forward, channels_last, mask",
        lambda: call(ops, x, offset, weight, mask),
        lambda: call(torchvision.ops, x, offset, weight, mask),
        target=(4.5, 8)[threads - 1],
    )


def test_forward_against_a_plain_convolution(compare, threads):
    x, offset, weight, mask = arguments()
    compare(
        "deform_conv2d",
        "forward, NCHW, mask",
        lambda: call(ops, x, offset, weight, mask),
        lambda: torch.nn.functional.conv2d(x, weight, padding=1),
        peer_name="conv2d",
        target=round(1 / 1.15, 2),
    )


def gradients(module, tensors):
    tensors = [t.clone().requires_grad_() for t in tensors]
    out = call(module, *tensors)
    grad = torch.ones_like(out)
    return lambda: torch.autograd.grad(out, tensors, grad, retain_graph=True)


def test_backward(compare, threads):
    tensors = arguments()
    compare(
        "deform_conv2d",
        "backward, NCHW, mask",
        gradients(ops, tensors),
        gradients(torchvision.ops, tensors),
        target=(4, 6)[threads - 1],
    )


def test_memory_of_a_large_image(compare, threads):
    # 39 MB of input: torchvision's columns take 350 MB. Ours beyond the output, 39 MB: the buffers.
    x, offset, weight, mask = arguments((1, 64, 320, 480))
    compare(
        "deform_conv2d",
        "forward, 64 channels of 320x480",
        lambda: call(ops, x, offset, weight[:64], mask),
        lambda: call(torchvision.ops, x, offset, weight[:64], mask),
        target=(4.5, 8)[threads - 1],
    )
