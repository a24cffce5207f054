"""flow_warp on feature maps and pictures against torch's grid_sample and the grid that it needs."""

import pytest
import torch
from torch.nn import functional as F

import fastcv.ops as ops

FORMATS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}
# A feature map of YOLACT, one of Mask R-CNN, and a picture.
SIZES = [(256, 35, 35), (256, 100, 168), (3, 480, 640)]


def by_grid_sample(x, flow, padding="zeros"):
    height, width = x.shape[2:]
    x_ = torch.arange(width, device=flow.device) + flow[:, 0]
    y = torch.arange(height, device=flow.device).view(-1, 1) + flow[:, 1]
    grid = torch.stack([x_ * (2 / (width - 1)) - 1, y * (2 / (height - 1)) - 1], dim=-1)
    return F.grid_sample(x, grid.to(x.dtype), padding_mode=padding, align_corners=True)


def features_and_flow(channels, height, width, memory_format="NCHW"):
    """A smooth flow of a few pixels, as of things that move."""
    g = torch.Generator().manual_seed(0)
    coarse = torch.randn(1, 2, 4, 5, generator=g) * 3
    flow = F.interpolate(coarse, (height, width), mode="bilinear", align_corners=False)
    x = torch.randn(1, channels, height, width, generator=g)
    return x.contiguous(memory_format=FORMATS[memory_format]), flow


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("size", SIZES)
def test_flow_warp(compare, threads, size, memory_format):
    x, flow = features_and_flow(*size, memory_format)
    compare(
        "flow_warp",
        f"{size[0]} x {size[1]} x {size[2]}, {memory_format}",
        lambda: ops.flow_warp(x, flow),
        lambda: by_grid_sample(x, flow),
        peer_name="torch.grid_sample",
        target=2,
    )


def test_border(compare, threads):
    x, flow = features_and_flow(*SIZES[0])
    compare(
        "flow_warp",
        "256 x 35 x 35, border",
        lambda: ops.flow_warp(x, flow, "border"),
        lambda: by_grid_sample(x, flow, "border"),
        peer_name="torch.grid_sample",
        target=2,
    )


@pytest.mark.parametrize("size", SIZES)
def test_forward_and_backward(compare, threads, size):
    x, flow = (t.requires_grad_() for t in features_and_flow(*size))
    grad = torch.randn_like(x)
    compare(
        "flow_warp",
        f"{size[0]} x {size[1]} x {size[2]}, forward and backward",
        lambda: torch.autograd.grad(ops.flow_warp(x, flow), (x, flow), grad),
        lambda: torch.autograd.grad(by_grid_sample(x, flow), (x, flow), grad),
        peer_name="torch.grid_sample",
        target=1,
    )
