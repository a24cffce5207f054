"""ps_roi_align and ps_roi_pool against plain loops over samples and pixels."""

import functools
import math

import pytest
import torch
from torch.library import opcheck

from fastcv.ops import ps_roi_align, ps_roi_pool, roi_align

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
FORMATS = [torch.contiguous_format, torch.channels_last]


def sample(plane, y, x):
    h, w = plane.shape
    if not (-1 <= y <= h and -1 <= x <= w):
        return torch.zeros_like(plane[0, 0])
    y, x = min(max(y, 0.0), h - 1.0), min(max(x, 0.0), w - 1.0)
    of_row = (1 - (torch.arange(h, dtype=plane.dtype) - y).abs()).clamp(min=0)
    of_column = (1 - (torch.arange(w, dtype=plane.dtype) - x).abs()).clamp(min=0)
    return of_row @ plane @ of_column


def align_bin(plane, roi, size, i, j, scale, ratio):
    x1, y1, x2, y2 = (v * scale - 0.5 for v in roi)
    bin_h, bin_w = (y2 - y1) / size[0], (x2 - x1) / size[1]
    rows = ratio if ratio > 0 else math.ceil(bin_h)
    columns = ratio if ratio > 0 else math.ceil(bin_w)
    total = torch.zeros_like(plane[0, 0])
    for a in range(rows):
        for b in range(columns):
            y, x = y1 + (i + (a + 0.5) / rows) * bin_h, x1 + (j + (b + 0.5) / columns) * bin_w
            total = total + sample(plane, y, x)
    return total / max(rows * columns, 1)


def pool_bin(plane, roi, size, i, j, scale, _):
    def window(low, high, bins, p, length):
        low, high = (int(math.copysign(math.floor(abs(v * scale) + 0.5), v)) for v in (low, high))
        step = max(high - low, 1) / bins
        first, last = math.floor(p * step) + low, math.ceil((p + 1) * step) + low
        # As in torchvision, the map's last row and column are never read.
        return min(max(first, 0), length - 1), min(max(last, 0), length - 1)

    x1, y1, x2, y2 = roi
    top, bottom = window(y1, y2, size[0], i, plane.shape[0])
    left, right = window(x1, x2, size[1], j, plane.shape[1])
    if top >= bottom or left >= right:
        return torch.zeros_like(plane[0, 0])
    return plane[top:bottom, left:right].mean()


def oracle(bin_of, input, rois, size, scale, ratio):
    out = []
    channels = input.shape[1] // (size[0] * size[1])
    for image, *roi in rois.double().tolist():
        for c in range(channels):
            for i in range(size[0]):
                for j in range(size[1]):
                    plane = input[int(image), (c * size[0] + i) * size[1] + j]
                    out.append(bin_of(plane, roi, size, i, j, scale, ratio))
    return torch.stack(out).reshape(len(rois), channels, *size)


def random_rois(k, images, extent, seed=0):
    """Boxes that reach beyond the map, that lie outside of it, and some turned inside out."""
    g = torch.Generator().manual_seed(seed)
    corner = torch.rand(k, 2, generator=g) * (extent + 6) - 5
    size = torch.rand(k, 2, generator=g) * extent
    rois = torch.cat([torch.randint(images, (k, 1), generator=g), corner, corner + size], 1)
    rois[3::7, [1, 3]] = rois[3::7, [3, 1]]
    rois[5::7, 1:] += 2 * extent
    return rois


def run(name, x, rois, size, scale, ratio):
    if name == "align":
        return ps_roi_align(x, rois, size, scale, ratio)
    return ps_roi_pool(x, rois, size, scale)


@functools.cache
def case(name, channels, ratio, dtype):
    """Input, rois, gradient of the output; and the oracle's output and gradient of the input."""
    g = torch.Generator().manual_seed(channels)
    x = torch.randn(2, 6 * channels, 9, 13, generator=g).to(dtype)
    rois = random_rois(12, 2, 24.0)
    x64 = x.double().requires_grad_()
    bin_of = align_bin if name == "align" else pool_bin
    expected = oracle(bin_of, x64, rois, (3, 2), 0.5, ratio)
    grad = torch.randn(expected.shape, generator=g).to(dtype)
    (expected_grad,) = torch.autograd.grad(expected, x64, grad.double())
    return x, rois, grad, expected.detach(), expected_grad


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 5, 16])
@pytest.mark.parametrize("name, ratio", [("align", 2), ("align", -1), ("pool", 0)])
def test_matches_the_definition(device, memory_format, dtype, channels, name, ratio):
    x, rois, grad, expected, expected_grad = case(name, channels, ratio, dtype)
    x = x.to(device).contiguous(memory_format=memory_format).requires_grad_()
    out = run(name, x, rois.to(device), (3, 2), 0.5, ratio)
    assert out.dtype == dtype and out.shape == expected.shape and out.device.type == device.type
    assert out.is_contiguous(memory_format=memory_format)
    error = TOLERANCE[dtype]
    torch.testing.assert_close(out.detach().cpu().double(), expected, rtol=error, atol=error)
    (got,) = torch.autograd.grad(out, x, grad.to(device).contiguous(memory_format=memory_format))
    assert got.dtype == dtype
    torch.testing.assert_close(got.cpu().double(), expected_grad, rtol=error, atol=3 * error)


@pytest.mark.parametrize("ratio", [2, -1])
def test_align_is_roi_align_of_the_bin_s_own_channel(device, ratio):
    x = torch.randn(2, 5 * 12, 10, 11, device=device)
    rois = random_rois(40, 2, 10.0).to(device)
    all_bins = roi_align(x, rois, (3, 4), 1.0, ratio, True).unflatten(1, (5, 3, 4))
    i, j = torch.arange(3, device=device)[:, None], torch.arange(4, device=device)
    expected = all_bins[:, :, i, j, i, j]
    got = ps_roi_align(x, rois, (3, 4), 1.0, ratio)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["align", "pool"])
def test_gradient_of_a_map_in_bands(device, name):
    # Too large for a buffer in one piece: <grad, pool(x)> must be <backward(grad), x>.
    g = torch.Generator().manual_seed(0)
    x = torch.randn(1, 1, 2700, 2600, generator=g).to(device).bfloat16().requires_grad_()
    rois = random_rois(60, 1, 2600.0).to(device)
    out = run(name, x, rois, 1, 1.0, 2)
    grad = torch.ones_like(out)
    (grad_input,) = torch.autograd.grad(out, x, grad)
    left = out.detach().double().sum()
    right = (grad_input.double() * x.detach().double()).sum()
    torch.testing.assert_close(left, right, rtol=1e-2, atol=2e-2)


@pytest.mark.parametrize("name, ratio", [("align", 2), ("align", -1), ("pool", 0)])
@pytest.mark.parametrize("memory_format", FORMATS)
def test_gradcheck(device, name, ratio, memory_format):
    x = torch.randn(2, 12, 4, 5, dtype=torch.float64, device=device)
    x = x.contiguous(memory_format=memory_format).requires_grad_()
    rois = random_rois(4, 2, 5.0).double().to(device)
    assert torch.autograd.gradcheck(lambda x: run(name, x, rois, 2, 1.0, ratio), x)
    assert torch.autograd.gradgradcheck(lambda x: run(name, x, rois, 2, 1.0, ratio), x)


def test_boxes_far_larger_than_the_map_cost_no_more(device):
    x = torch.ones(1, 16, 8, 8, device=device, requires_grad=True)
    huge = torch.tensor([[0, -s, -s, s, s] for s in (1e4, 1e8, 1e30, 3e38)], device=device)
    aligned, pooled = ps_roi_align(x, huge, 2, 1.0, -1), ps_roi_pool(x, huge, 2)
    (aligned.sum() + pooled.sum()).backward()
    assert torch.isfinite(aligned).all() and torch.isfinite(x.grad).all()
    assert torch.all(pooled[:, :, 1, 1] == 1)
    # A sample at every whole number: (-1 .. 8)^2 of 10000^2 a bin lie on the map or its border.
    total = aligned[0].sum((1, 2)) * 1e8
    torch.testing.assert_close(total, torch.full((4,), 100.0, device=device))


def test_opcheck(device):
    x = torch.randn(2, 12, 6, 7, device=device, requires_grad=True)
    rois = random_rois(5, 2, 6.0).to(device)
    opcheck(torch.ops.fastcv.ps_roi_align, (x, rois, 1.0, 2, 3, 2))
    opcheck(torch.ops.fastcv.ps_roi_pool, (x, rois, 1.0, 2, 3))
    grad = torch.randn(5, 2, 2, 3, device=device, requires_grad=True)
    sizes = (2, 12, 6, 7)
    opcheck(torch.ops.fastcv._ps_roi_align_backward, (grad, rois, 1.0, 2, 3, *sizes, 2))
    opcheck(torch.ops.fastcv._ps_roi_pool_backward, (grad, rois, 1.0, 2, 3, *sizes))


@pytest.mark.parametrize("name", ["align", "pool"])
def test_refuses_channels_that_do_not_divide(device, name):
    x, rois = torch.zeros(1, 13, 4, 4, device=device), torch.zeros(1, 5, device=device)
    message = f"ps_roi_{name}: input's channels must be a multiple of .* = 6, got 13"
    with pytest.raises(RuntimeError, match=message):
        run(name, x, rois, (2, 3), 1.0, 2)
