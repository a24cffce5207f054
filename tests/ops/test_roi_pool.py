"""roi_pool against a plain loop over pixels."""

import math

import pytest
import torch
from torch.library import opcheck

from fastcv.ops import roi_pool

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
FORMATS = [torch.contiguous_format, torch.channels_last]
NAN, INF = float("nan"), float("inf")


def nearest(x):
    """Halves away from 0."""
    return int(math.copysign(math.floor(abs(x) + 0.5), x))


def windows(low, high, scale, bins, size):
    """For each bin, the pixels it covers along one axis."""
    low, high = nearest(low * scale), nearest(high * scale)
    length = max(high - low + 1, 1) / bins
    return [
        range(
            min(max(math.floor(i * length) + low, 0), size),
            min(max(math.ceil((i + 1) * length) + low, 0), size),
        )
        for i in range(bins)
    ]


def oracle(input, rois, size, scale):
    height, width = input.shape[2:]
    values = input.double().tolist()
    lowest = torch.finfo(input.dtype).min
    out, argmax = [], []
    for image, x1, y1, x2, y2 in rois.double().tolist():
        rows = windows(y1, y2, scale, size[0], height)
        columns = windows(x1, x2, scale, size[1], width)
        for plane in values[int(image)]:
            for ys in rows:
                for xs in columns:
                    best, at = (lowest, -1) if len(ys) and len(xs) else (0.0, -1)
                    for y in ys:
                        for x in xs:
                            if plane[y][x] > best:
                                best, at = plane[y][x], y * width + x
                    out.append(best)
                    argmax.append(at)
    shape = (len(rois), input.shape[1], *size)
    return torch.tensor(out, dtype=torch.float64).reshape(shape), torch.tensor(argmax).reshape(
        shape
    )


def scattered(grad, argmax, rois, shape):
    """The oracle's gradient: each bin's to the pixel it chose."""
    out = torch.zeros(shape, dtype=torch.float64)
    for k, image in enumerate(rois[:, 0].long()):
        planes = out[image].view(shape[1], -1)
        for c in range(shape[1]):
            for to, g in zip(argmax[k, c].flatten(), grad[k, c].flatten().double(), strict=True):
                if to >= 0:
                    planes[c, to] += g
    return out


def random_rois(k, images, extent, seed=0):
    """Boxes that reach beyond the map, that lie outside of it, and some turned inside out."""
    g = torch.Generator().manual_seed(seed)
    corner = torch.rand(k, 2, generator=g) * (extent + 6) - 5
    size = torch.rand(k, 2, generator=g) * extent
    rois = torch.cat([torch.randint(images, (k, 1), generator=g), corner, corner + size], 1)
    rois[3::7, [1, 3]] = rois[3::7, [3, 1]]
    rois[4::7, 1:] = rois[4::7, 1:].round() + 0.5
    rois[5::7, 1:] += 2 * extent
    return rois


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 16, 21, 64])
@pytest.mark.parametrize("scale", [1.0, 0.37])
def test_matches_the_definition(device, memory_format, dtype, channels, scale):
    g = torch.Generator().manual_seed(channels)
    x = (torch.randn(3, channels, 9, 13, generator=g) * 4).round().to(dtype)  # with equals
    rois = random_rois(20, 3, 12.0 / scale)
    expected, at = oracle(x, rois, (3, 4), scale)
    x = x.to(device).contiguous(memory_format=memory_format).requires_grad_()
    out, argmax = torch.ops.fastcv.roi_pool(x, rois.to(device), scale, 3, 4)
    assert out.dtype == dtype and out.is_contiguous(memory_format=memory_format)
    assert argmax.dtype == torch.int32 and argmax.stride() == out.stride()
    assert torch.equal(out.detach().cpu().double(), expected)
    assert torch.equal(argmax.cpu().long(), at)
    assert torch.equal(roi_pool(x, rois.to(device), (3, 4), scale), out)
    grad = torch.randint(-8, 9, out.shape, generator=g).to(dtype)  # sums without rounding
    (got,) = torch.autograd.grad(out, x, grad.to(device))
    assert got.dtype == dtype
    assert torch.equal(got.cpu().double(), scattered(grad, at, rois, x.shape))


def test_few_small_boxes_on_a_large_map(device):
    x = torch.randn(1, 4, 100, 120, generator=torch.Generator().manual_seed(0))
    rois = torch.tensor([[0, 10.3, 20.1, 17.7, 24.2], [0, 110.0, 90.0, 130.0, 99.0]])
    expected, _ = oracle(x, rois, (2, 2), 1.0)
    assert torch.equal(roi_pool(x.to(device), rois.to(device), 2).cpu().double(), expected)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [3, 16])
def test_nan_and_infinite_pixels(device, memory_format, dtype, channels):
    x = torch.full((1, channels, 4, 4), -INF, dtype=dtype)
    x[0, :, 0, :2] = NAN
    x[0, 1:, 0, 1] = 3.0
    x[0, :, 2:, 2:] = INF
    rois = torch.tensor([[0, 0.0, 0.0, 3.0, 3.0]])
    expected, at = oracle(x, rois, (2, 2), 1.0)
    x = x.to(device).contiguous(memory_format=memory_format)
    out, argmax = torch.ops.fastcv.roi_pool(x, rois.to(device), 1.0, 2, 2)
    assert torch.equal(out.cpu().double(), expected) and torch.equal(argmax.cpu().long(), at)


def test_odd_corners_make_empty_or_single_pixel_boxes(device):
    x = torch.ones(1, 16, 4, 4, device=device)
    for bad in (NAN, -INF):
        for corner in range(1, 5):
            roi = torch.tensor([[0, 0.0, 0.0, 3.0, 3.0]])
            roi[0, corner] = bad
            assert torch.isfinite(roi_pool(x, roi.to(device), 2)).all()
    nowhere = torch.tensor([[0, NAN, 0.0, NAN, 3.0], [0, INF, INF, INF, INF]], device=device)
    assert torch.all(roi_pool(x, nowhere, 2) == 0)
    everywhere = torch.tensor([[0, -1e30, -1e30, 1e30, 1e30], [0, -1e4, -1e4, 1e4, 1e4]])
    assert torch.all(roi_pool(x, everywhere.to(device), 1) == 1)


@pytest.mark.parametrize("channels", [2, 16])
@pytest.mark.parametrize("memory_format", FORMATS)
def test_gradcheck(device, channels, memory_format):
    g = torch.Generator().manual_seed(0)
    x = torch.randperm(2 * channels * 20, generator=g).double().reshape(2, channels, 4, 5) / 10
    x = x.to(device).contiguous(memory_format=memory_format).requires_grad_()
    rois = random_rois(5, 2, 5.0).double().to(device)
    assert torch.autograd.gradcheck(lambda x: roi_pool(x, rois, 2), x)
    assert torch.autograd.gradgradcheck(lambda x: roi_pool(x, rois, 2), x)


def test_opcheck(device):
    x = torch.randn(2, 16, 6, 7, device=device, requires_grad=True)
    rois = random_rois(5, 2, 6.0).to(device)
    opcheck(torch.ops.fastcv.roi_pool, (x, rois, 1.0, 2, 3))
    _, argmax = torch.ops.fastcv.roi_pool(x, rois, 1.0, 2, 3)
    grad = torch.randn(5, 16, 2, 3, device=device, requires_grad=True)
    opcheck(torch.ops.fastcv._roi_pool_backward, (grad, rois, argmax, 1.0, 2, 16, 6, 7))


def test_backward_refuses(device):
    rois, grad = torch.zeros(5, 5, device=device), torch.zeros(5, 16, 2, 3, device=device)
    op = torch.ops.fastcv._roi_pool_backward
    argmax = torch.zeros(5, 16, 2, 3, dtype=torch.int32, device=device)
    with pytest.raises(RuntimeError, match=r"argmax must be int32 with the shape of grad"):
        op(grad, rois, argmax[:4], 1.0, 2, 16, 6, 7)
    with pytest.raises(RuntimeError, match=r"argmax must be int32.*got Long"):
        op(grad, rois, argmax.long(), 1.0, 2, 16, 6, 7)
    with pytest.raises(RuntimeError, match=r"grad must have shape \[5, 8, 2, 3\]"):
        op(grad, rois, argmax, 1.0, 2, 8, 6, 7)


def test_backward_refuses_an_argmax_outside_of_the_map():
    rois, grad = torch.zeros(5, 5), torch.zeros(5, 16, 2, 3)
    argmax = torch.full((5, 16, 2, 3), 42, dtype=torch.int32)
    with pytest.raises(RuntimeError, match="argmax must be below height"):
        torch.ops.fastcv._roi_pool_backward(grad, rois, argmax, 1.0, 2, 16, 6, 7)
