"""corner_pool on CornerNet's maps against torch.cummax, forward and backward."""

import pytest
import torch

import fastcv.ops as ops

FORMATS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}


def by_cummax(x, direction):
    dim = 2 if direction == "top" else 3
    return x.flip(dim).cummax(dim).values.flip(dim)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("direction", ["top", "left"])
def test_corner_pool(compare, threads, direction, memory_format):
    x = torch.randn(2, 128, 128, 128).contiguous(memory_format=FORMATS[memory_format])
    compare(
        "corner_pool",
        f"{direction}, 2 x 128 x 128^2, {memory_format}",
        lambda: ops.corner_pool(x, direction),
        lambda: by_cummax(x, direction),
        peer_name="torch.cummax",
        target=4,
    )


@pytest.mark.parametrize("direction", ["top", "left"])
def test_forward_and_backward(compare, threads, direction):
    x = torch.randn(2, 128, 128, 128).requires_grad_()
    grad = torch.randn_like(x)
    compare(
        "corner_pool",
        f"{direction}, 2 x 128 x 128^2, forward and backward",
        lambda: torch.autograd.grad(ops.corner_pool(x, direction), x, grad),
        lambda: torch.autograd.grad(by_cummax(x, direction), x, grad),
        peer_name="torch.cummax",
        target=4,
    )
