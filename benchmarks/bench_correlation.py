"""correlation of feature maps against torch: a shift, a product and a mean each."""

import pytest
import torch
from torch.nn import functional as F

import fastcv.ops as ops

# VPSNet's finest map of a picture of 256 x 512; FlowNet-like; a small map.
SIZES = [(256, 64, 128, 4), (256, 32, 64, 4), (64, 64, 128, 4), (256, 16, 32, 2)]


def by_shifts(a, b, radius):
    height, width = a.shape[2:]
    padded = F.pad(b, [radius] * 4)
    reach = range(2 * radius + 1)
    return torch.stack(
        [(a * padded[:, :, y : y + height, x : x + width]).mean(1) for y in reach for x in reach], 1
    )


def maps(channels, height, width):
    g = torch.Generator().manual_seed(0)
    return [torch.randn(1, channels, height, width, generator=g) for _ in range(2)]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_correlation(compare, threads, size):
    *shape, radius = size
    a, b = maps(*shape)
    compare(
        "correlation",
        f"{' x '.join(map(str, shape))}, radius {radius}",
        lambda: ops.correlation(a, b, radius),
        lambda: by_shifts(a, b, radius),
        peer_name="torch, shift by shift",
        target=4,
    )


def test_forward_and_backward(compare, threads):
    *shape, radius = SIZES[0]
    a, b = (t.requires_grad_() for t in maps(*shape))
    grad = torch.randn(1, (2 * radius + 1) ** 2, *shape[1:])
    compare(
        "correlation",
        f"{' x '.join(map(str, shape))}, radius {radius}, forward and backward",
        lambda: torch.autograd.grad(ops.correlation(a, b, radius), (a, b), grad),
        lambda: torch.autograd.grad(by_shifts(a, b, radius), (a, b), grad),
        peer_name="torch, shift by shift",
        target=4,
    )
