"""roi_align against a plain loop over samples."""

import functools
import math

import pytest
import torch
from torch.library import opcheck

from fastcv.ops import roi_align

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
FORMATS = [torch.contiguous_format, torch.channels_last]


def sample(image, y, x):
    """The image [C, H, W] between its pixels: each weighs 1 less its distance, along each axis."""
    h, w = image.shape[1:]
    if not (-1 <= y <= h and -1 <= x <= w):
        return torch.zeros_like(image[:, 0, 0])
    y, x = min(max(y, 0.0), h - 1.0), min(max(x, 0.0), w - 1.0)
    of_row = (1 - (torch.arange(h, dtype=image.dtype) - y).abs()).clamp(min=0)
    of_column = (1 - (torch.arange(w, dtype=image.dtype) - x).abs()).clamp(min=0)
    return image @ of_column @ of_row


def oracle(input, rois, size, scale, ratio, aligned):
    out = []
    offset = 0.5 if aligned else 0.0
    for image, *corners in rois.double().tolist():
        x1, y1, x2, y2 = (v * scale - offset for v in corners)
        w, h = x2 - x1, y2 - y1
        if not aligned:
            w, h = max(w, 1.0), max(h, 1.0)
        bin_h, bin_w = h / size[0], w / size[1]
        rows = ratio if ratio > 0 else math.ceil(bin_h)
        columns = ratio if ratio > 0 else math.ceil(bin_w)
        for i in range(size[0]):
            for j in range(size[1]):
                total = torch.zeros_like(input[0, :, 0, 0])
                for a in range(rows):
                    for b in range(columns):
                        y = y1 + (i + (a + 0.5) / rows) * bin_h
                        x = x1 + (j + (b + 0.5) / columns) * bin_w
                        total = total + sample(input[int(image)], y, x)
                out.append(total / max(rows * columns, 1))
    return torch.stack(out).reshape(len(rois), *size, -1).permute(0, 3, 1, 2)


def random_rois(k, images, extent, seed=0):
    """Boxes that reach beyond the map, that lie outside of it, and some turned inside out."""
    g = torch.Generator().manual_seed(seed)
    corner = torch.rand(k, 2, generator=g) * (extent + 6) - 5
    size = torch.rand(k, 2, generator=g) * extent
    image = torch.randint(images, (k, 1), generator=g)
    rois = torch.cat([image, corner, corner + size], 1)
    rois[3::7, [1, 3]] = rois[3::7, [3, 1]]
    rois[5::7, 3:] = rois[5::7, 1:3] + 0.3
    return rois


@functools.cache
def case(channels, ratio, aligned, dtype):
    """Input, rois, gradient of the output; and the oracle's output and gradient of the input."""
    g = torch.Generator().manual_seed(channels)
    x = torch.randn(3, channels, 9, 13, generator=g).to(dtype)
    rois = random_rois(14, 3, 24.0)
    x64 = x.double().requires_grad_()
    expected = oracle(x64, rois, (3, 4), 0.5, ratio, aligned)
    grad = torch.randn(expected.shape, generator=g).to(dtype)
    (expected_grad,) = torch.autograd.grad(expected, x64, grad.double())
    return x, rois, grad, expected.detach(), expected_grad


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 16, 21, 64])
@pytest.mark.parametrize("ratio, aligned", [(2, True), (1, False), (-1, True), (0, False)])
def test_matches_the_definition(device, memory_format, dtype, channels, ratio, aligned):
    x, rois, grad, expected, expected_grad = case(channels, ratio, aligned, dtype)
    x = x.to(device).contiguous(memory_format=memory_format).requires_grad_()
    out = roi_align(x, rois.to(device), (3, 4), 0.5, ratio, aligned)
    assert out.dtype == dtype and out.shape == expected.shape and out.device.type == device.type
    assert out.is_contiguous(memory_format=memory_format)
    error = TOLERANCE[dtype]
    torch.testing.assert_close(out.detach().cpu().double(), expected, rtol=error, atol=error)
    (got,) = torch.autograd.grad(out, x, grad.to(device).contiguous(memory_format=memory_format))
    assert got.dtype == dtype and got.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(got.cpu().double(), expected_grad, rtol=error, atol=3 * error)


def test_few_small_boxes_on_a_large_map(device):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(1, 4, 200, 240, generator=g)
    rois = torch.tensor([[0, 10.3, 20.1, 17.7, 24.2], [0, 230.0, 190.0, 260.0, 199.0]])
    expected = oracle(x.double(), rois, (2, 2), 1.0, 2, True)
    got = roi_align(x.to(device), rois.to(device), 2, 1.0, 2, True).cpu()
    torch.testing.assert_close(got.double(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_more_boxes_than_are_planned_at_once(device, memory_format, dtype):
    g = torch.Generator().manual_seed(0)
    k = 60_000
    x = torch.randn(1, 16, 12, 12, generator=g).to(dtype).to(device)
    x = x.contiguous(memory_format=memory_format).requires_grad_()
    rois = random_rois(k, 1, 12.0).to(device)
    out = roi_align(x, rois, 3, 1.0, 2, True)
    halves = [roi_align(x, part, 3, 1.0, 2, True) for part in (rois[: k // 2], rois[k // 2 :])]
    assert torch.equal(out, torch.cat(halves))
    # Gradients of equal sign: the sum's error stays relative.
    (got,) = torch.autograd.grad(out.sum(), x)
    (expected,) = torch.autograd.grad(sum(h.double().sum() for h in halves), x)
    close = 1e-4 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(got, expected, rtol=close, atol=close)


@pytest.mark.parametrize("memory_format", FORMATS)
def test_gradient_of_a_map_in_bands(device, memory_format):
    # Too large for a buffer: <grad, roi_align(x)> must be <backward(grad), x>.
    g = torch.Generator().manual_seed(0)
    x = torch.randn(1, 16, 700, 640, generator=g).to(device)
    x = x.contiguous(memory_format=memory_format).requires_grad_()
    rois = random_rois(50, 1, 700.0).to(device)
    out = roi_align(x, rois, 7, 1.0, 2, True)
    grad = torch.randn(out.shape, generator=g).to(device)
    (grad_input,) = torch.autograd.grad(out, x, grad)
    left = (grad.double() * out.detach().double()).sum()
    right = (grad_input.double() * x.detach().double()).sum()
    torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("channels", [2, 16])
@pytest.mark.parametrize("ratio, aligned", [(2, True), (-1, False)])
@pytest.mark.parametrize("memory_format", FORMATS)
def test_gradcheck(device, channels, ratio, aligned, memory_format):
    x = torch.randn(2, channels, 4, 5, dtype=torch.float64, device=device)
    x = x.contiguous(memory_format=memory_format).requires_grad_()
    rois = random_rois(3, 2, 5.0).double().to(device)

    def call(x):
        return roi_align(x, rois, 2, 1.0, ratio, aligned)

    assert torch.autograd.gradcheck(call, x)
    assert torch.autograd.gradgradcheck(call, x)


def test_boxes_far_larger_than_the_map_cost_no_more(device):
    x = torch.ones(1, 16, 8, 8, device=device, requires_grad=True)
    huge = [[0, -s, -s, s, s] for s in (1e4, 1e8, 1e30, 3e38)]
    out = roi_align(x, torch.tensor(huge, device=device), 2, 1.0, -1, True)
    out.sum().backward()
    assert torch.isfinite(out).all() and torch.isfinite(x.grad).all()
    # A sample at every whole number: (-1 .. 8)^2 of 10000^2 a bin lie on the map or its border.
    torch.testing.assert_close(out[0].sum((1, 2)) * 1e8, torch.full((16,), 100.0, device=device))


def test_nan_pixels_touch_only_their_neighbourhood(device):
    x = torch.zeros(1, 16, 10, 10, device=device)
    x[0, :, 5, 5] = math.nan
    rois = torch.tensor([[0, 0.0, 0.0, 4.0, 4.0], [0, 4.0, 4.0, 7.0, 7.0]], device=device)
    out = roi_align(x, rois, 2, 1.0, 2, True)
    assert torch.all(out[0] == 0) and torch.isnan(out[1]).any()


def test_opcheck(device):
    x = torch.randn(2, 16, 6, 7, device=device, requires_grad=True)
    rois = random_rois(5, 2, 6.0).to(device)
    opcheck(torch.ops.fastcv.roi_align, (x, rois, 1.0, 2, 3, 2, True))
    grad = torch.randn(5, 16, 2, 3, device=device, requires_grad=True)
    opcheck(torch.ops.fastcv._roi_align_backward, (grad, rois, 1.0, 2, 3, 2, 16, 6, 7, 2, True))
    last = x.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    opcheck(torch.ops.fastcv.roi_align, (last, rois, 1.0, 2, 3, -1, False))


def test_backward_refuses(device):
    rois = torch.zeros(5, 5, device=device)
    grad = torch.zeros(5, 16, 2, 3, device=device)
    op = torch.ops.fastcv._roi_align_backward
    with pytest.raises(RuntimeError, match=r"grad must have shape \[5, 8, 2, 3\]"):
        op(grad, rois, 1.0, 2, 3, 2, 8, 6, 7, 2, True)
    with pytest.raises(RuntimeError, match=r"fewer than 2\^31 pixels, got 65536 x 65536"):
        op(grad, rois, 1.0, 2, 3, 2, 16, 65536, 65536, 2, True)
    with pytest.raises(RuntimeError, match="must not be negative"):
        op(grad, rois, 1.0, 2, 3, -2, 16, 6, 7, 2, True)


def test_refuses_too_many_samples(device):
    with pytest.raises(RuntimeError, match="sampling_ratio must be at most 32768, got 40000"):
        x = torch.zeros(1, 1, 4, 4, device=device)
        roi_align(x, torch.zeros(1, 5, device=device), 2, 1.0, 40000)
