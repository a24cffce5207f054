"""The RoI ops against torchvision's, at the sizes of a detector with a feature pyramid."""

import pytest
import torch

import fastcv.ops as ops

torchvision = pytest.importorskip("torchvision")

SHAPE = (2, 256, 200, 272)
SCALE = 0.25


def some_rois(k=1000):
    """Boxes of 16 to 216 pixels, within images of 800 x 1088."""
    g = torch.Generator().manual_seed(0)
    centre = torch.rand(k, 2, generator=g) * torch.tensor([1088.0, 800.0])
    size = 16 + 200 * torch.rand(k, 2, generator=g)
    limit = torch.tensor([1088.0, 800.0, 1088.0, 800.0])
    boxes = torch.cat([centre - size / 2, centre + size / 2], 1).clamp(min=0).minimum(limit)
    return torch.cat([torch.randint(0, 2, (k, 1), generator=g).float(), boxes], 1)


def feature_map(memory_format=torch.contiguous_format, dtype=torch.float32, shape=SHAPE):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    return x.contiguous(memory_format=memory_format)


@pytest.mark.parametrize(
    "memory_format, targets",
    [(torch.contiguous_format, (10, 15)), (torch.channels_last, (25, 30))],
    ids=["nchw", "channels_last"],
)
def test_roi_align(compare, threads, memory_format, targets):
    x, rois = feature_map(memory_format), some_rois()
    name = "NCHW" if memory_format == torch.contiguous_format else "channels_last"
    compare(
        "roi_align",
        f"forward, {name}",
        lambda: ops.roi_align(x, rois, 7, SCALE, 2, True),
        lambda: torchvision.ops.roi_align(x, rois, 7, SCALE, 2, True),
        target=targets[threads - 1],
    )


def test_roi_align_bfloat16(compare, threads):
    x, rois = feature_map(torch.channels_last, torch.bfloat16), some_rois()
    compare(
        "roi_align",
        "forward, channels_last, bfloat16",
        lambda: ops.roi_align(x, rois, 7, SCALE, 2, True),
        lambda: torchvision.ops.roi_align(x.float(), rois, 7, SCALE, 2, True).bfloat16(),
        target=30,
    )


@pytest.mark.parametrize(
    "memory_format", [torch.contiguous_format, torch.channels_last], ids=["nchw", "channels_last"]
)
def test_roi_align_backward(compare, threads, memory_format):
    grad = feature_map(memory_format, shape=(1000, 256, 7, 7))
    arguments = (grad, some_rois(), SCALE, 7, 7, *SHAPE, 2, True)
    name = "NCHW" if memory_format == torch.contiguous_format else "channels_last"
    compare(
        "roi_align",
        f"backward, {name}",
        lambda: torch.ops.fastcv._roi_align_backward(*arguments),
        lambda: torch.ops.torchvision._roi_align_backward(*arguments),
        target=(18, 28)[threads - 1],
    )


def test_roi_pool(compare, threads):
    x, rois = feature_map(), some_rois()
    compare(
        "roi_pool",
        "forward, NCHW",
        lambda: ops.roi_pool(x, rois, 7, SCALE),
        lambda: torchvision.ops.roi_pool(x, rois, 7, SCALE),
        target=8,
    )


def test_ps_roi_align(compare, threads):
    x, rois = feature_map(shape=(2, 10 * 49, 200, 272)), some_rois()
    compare(
        "ps_roi_align",
        "forward, NCHW, 490 channels",
        lambda: ops.ps_roi_align(x, rois, 7, SCALE, 2),
        lambda: torchvision.ops.ps_roi_align(x, rois, 7, SCALE, 2),
        target=8,
    )


def test_ps_roi_pool(compare, threads):
    x, rois = feature_map(shape=(2, 10 * 49, 200, 272)), some_rois()
    compare(
        "ps_roi_pool",
        "forward, NCHW, 490 channels",
        lambda: ops.ps_roi_pool(x, rois, 7, SCALE),
        lambda: torchvision.ops.ps_roi_pool(x, rois, 7, SCALE),
        target=8,
    )


def rotated_by_grid_sample(x, rois, bins, samples):
    """RoIAlign of rotated boxes as plain PyTorch has it: all samples of an image in one call."""
    n = bins * samples
    at = (torch.arange(n) + 0.5) / n - 0.5
    out = x.new_empty(len(rois), x.shape[1], bins, bins)
    for image in range(len(x)):
        mine = (rois[:, 0] == image).nonzero().flatten()
        cx, cy, w, h, angle = (rois[mine, 1:] * torch.tensor([SCALE] * 4 + [1])).unbind(1)
        cos, sin = angle.deg2rad().cos(), angle.deg2rad().sin()
        u = (at[None, None, :] * w[:, None, None]).expand(-1, n, n)
        v = (at[None, :, None] * h[:, None, None]).expand(-1, n, n)
        px = u * cos[:, None, None] + v * sin[:, None, None] + cx[:, None, None]
        py = v * cos[:, None, None] - u * sin[:, None, None] + cy[:, None, None]
        grid = torch.stack([2 * px / x.shape[3] - 1, 2 * py / x.shape[2] - 1], -1)
        grid = grid.flatten(0, 1)[None]
        sampled = torch.nn.functional.grid_sample(x[image][None], grid, align_corners=False)
        sampled = sampled.reshape(x.shape[1], len(mine), n, n).transpose(0, 1)
        out[mine] = torch.nn.functional.avg_pool2d(sampled, samples)
    return out


def test_roi_align_rotated(compare, threads):
    x, upright = feature_map(), some_rois()
    angle = torch.rand(len(upright), 1, generator=torch.Generator().manual_seed(2)) * 360 - 180
    centre = (upright[:, 1:3] + upright[:, 3:5]) / 2
    rois = torch.cat([upright[:, :1], centre, upright[:, 3:5] - upright[:, 1:3], angle], 1)
    compare(
        "roi_align_rotated",
        "forward, NCHW",
        lambda: ops.roi_align_rotated(x, rois, 7, SCALE, 2),
        lambda: rotated_by_grid_sample(x, rois, 7, 2),
        peer_name="grid_sample",
        target=8,
    )
