"""Gradients of the pooling RoI ops against torchvision's; roi_align's are in bench_roi.py."""

import pytest
import torch

import fastcv.ops  # noqa: F401 (registers torch.ops.fastcv)

torchvision = pytest.importorskip("torchvision")

SCALE, BINS = 0.25, 7
SIZES = (2, 256, 200, 272)
PS_SIZES = (2, 10 * BINS * BINS, 200, 272)


def some_rois(k=1000):
    """Boxes of 16 to 216 pixels, within images of 800 x 1088."""
    g = torch.Generator().manual_seed(0)
    limit = torch.tensor([1088.0, 800.0])
    centre, size = torch.rand(k, 2, generator=g) * limit, 16 + 200 * torch.rand(k, 2, generator=g)
    low, high = (centre - size / 2).clamp(min=0), (centre + size / 2).minimum(limit)
    return torch.cat([torch.randint(0, 2, (k, 1), generator=g).float(), low, high], 1)


def test_roi_pool_backward(compare, threads):
    x, rois = torch.randn(SIZES), some_rois()
    _, argmax = torch.ops.fastcv.roi_pool(x, rois, SCALE, BINS, BINS)
    grad = torch.randn(argmax.shape)
    theirs = torch.ops.torchvision._roi_pool_backward
    compare(
        "roi_pool",
        "backward, NCHW",
        lambda: torch.ops.fastcv._roi_pool_backward(grad, rois, argmax, SCALE, *SIZES),
        lambda: theirs(grad, rois, argmax, SCALE, BINS, BINS, *SIZES),
        target=8,
    )


def position_sensitive_gradient():
    """The output's gradient, RoIs, and the channel of each bin, which torchvision wants told."""
    grad = torch.randn(1000, 10, BINS, BINS)
    channel_of = torch.arange(PS_SIZES[1], dtype=torch.int32).view(10, BINS, BINS)
    return grad, some_rois(), channel_of.expand_as(grad).contiguous()


def test_ps_roi_align_backward(compare, threads):
    grad, rois, channel_of = position_sensitive_gradient()
    ours = torch.ops.fastcv._ps_roi_align_backward
    theirs = torch.ops.torchvision._ps_roi_align_backward
    compare(
        "ps_roi_align",
        "backward, NCHW, 490 channels",
        lambda: ours(grad, rois, SCALE, BINS, BINS, *PS_SIZES, 2),
        lambda: theirs(grad, rois, channel_of, SCALE, BINS, BINS, 2, *PS_SIZES),
        target=8,
    )


def test_ps_roi_pool_backward(compare, threads):
    grad, rois, channel_of = position_sensitive_gradient()
    ours = torch.ops.fastcv._ps_roi_pool_backward
    theirs = torch.ops.torchvision._ps_roi_pool_backward
    compare(
        "ps_roi_pool",
        "backward, NCHW, 490 channels",
        lambda: ours(grad, rois, SCALE, BINS, BINS, *PS_SIZES),
        lambda: theirs(grad, rois, channel_of, SCALE, BINS, BINS, *PS_SIZES),
        target=8,
    )
