"""roi_align_rotated against a plain loop over samples."""

import functools
import math

import pytest
import torch
from torch.library import opcheck

from fastcv.ops import roi_align, roi_align_rotated

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
TOLERANCE = {torch.float64: 1e-11, torch.float32: 5e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
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
    for image, cx, cy, w, h, degrees in rois.double().tolist():
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        w, h = w * scale, h * scale
        if not aligned:
            w, h = max(w, 1.0), max(h, 1.0)
        rows = ratio if ratio > 0 else math.ceil(h / size[0])
        columns = ratio if ratio > 0 else math.ceil(w / size[1])
        for i in range(size[0]):
            for j in range(size[1]):
                total = torch.zeros_like(input[0, :, 0, 0])
                for a in range(rows):
                    for b in range(columns):
                        v = -h / 2 + (i + (a + 0.5) / rows) * h / size[0]
                        u = -w / 2 + (j + (b + 0.5) / columns) * w / size[1]
                        x = cx * scale - offset + u * cos + v * sin
                        y = cy * scale - offset - u * sin + v * cos
                        total = total + sample(input[int(image)], y, x)
                out.append(total / max(rows * columns, 1))
    return torch.stack(out).reshape(len(rois), *size, -1).permute(0, 3, 1, 2)


def random_rois(k, images, extent, seed=0):
    g = torch.Generator().manual_seed(seed)
    image = torch.randint(images, (k, 1), generator=g)
    centre = torch.rand(k, 2, generator=g) * (extent + 6) - 3
    size = torch.rand(k, 2, generator=g) * extent
    angle = (torch.rand(k, 1, generator=g) - 0.5) * 1000
    rois = torch.cat([image, centre, size, angle], 1)
    rois[3::7, 3:5] *= 0.03
    return rois


@functools.cache
def case(channels, ratio, aligned, dtype):
    """Input, rois, gradient of the output; and the oracle's output and gradient of the input."""
    g = torch.Generator().manual_seed(channels)
    x = torch.randn(3, channels, 9, 13, generator=g).to(dtype)
    rois = random_rois(12, 3, 24.0)
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
    out = roi_align_rotated(x, rois.to(device), (3, 4), 0.5, ratio, aligned)
    assert out.dtype == dtype and out.shape == expected.shape and out.device.type == device.type
    assert out.is_contiguous(memory_format=memory_format)
    error = TOLERANCE[dtype]
    torch.testing.assert_close(out.detach().cpu().double(), expected, rtol=error, atol=error)
    (got,) = torch.autograd.grad(out, x, grad.to(device).contiguous(memory_format=memory_format))
    assert got.dtype == dtype and got.is_contiguous(memory_format=memory_format)
    torch.testing.assert_close(got.cpu().double(), expected_grad, rtol=error, atol=3 * error)


@pytest.mark.parametrize("ratio", [2, -1])
@pytest.mark.parametrize("aligned", [False, True])
def test_upright_is_roi_align(device, ratio, aligned):
    x = torch.randn(2, 16, 12, 15, dtype=torch.float64, device=device)
    rois = random_rois(30, 2, 12.0).double().to(device)
    centre, size = rois[:, 1:3], rois[:, 3:5].clamp(min=2.0)
    # Whole numbers of eighths, so that both ways to a corner are exact.
    centre, size = (centre * 8).round() / 8, (size * 8).round() / 4
    upright = torch.cat([rois[:, :1], centre - size / 2, centre + size / 2], 1)
    expected = roi_align(x, upright, (3, 2), 1.0, ratio, aligned)
    for turn in (0.0, 360.0, -720.0):
        turned = torch.cat([rois[:, :1], centre, size, torch.full_like(centre[:, :1], turn)], 1)
        got = roi_align_rotated(x, turned, (3, 2), 1.0, ratio, aligned)
        torch.testing.assert_close(got, expected, rtol=1e-9, atol=1e-9)


def test_positive_angles_turn_counter_clockwise_on_the_screen(device):
    # Bins run along w, here turned to point up: the first lies at the bottom.
    x = torch.arange(9.0, device=device).reshape(1, 1, 9, 1).expand(1, 1, 9, 9)
    rois = torch.tensor([[0, 4.5, 4.5, 4.0, 2.0, 90.0]], device=device)
    out = roi_align_rotated(x, rois, (1, 2), 1.0, 1)
    torch.testing.assert_close(out.flatten().cpu(), torch.tensor([5.0, 3.0]), rtol=0, atol=1e-5)


@pytest.mark.parametrize("channels", [2, 16])
@pytest.mark.parametrize("ratio, aligned", [(2, True), (-1, False)])
@pytest.mark.parametrize("memory_format", FORMATS)
def test_gradcheck(device, channels, ratio, aligned, memory_format):
    x = torch.randn(2, channels, 4, 5, dtype=torch.float64, device=device)
    x = x.contiguous(memory_format=memory_format).requires_grad_()
    rois = random_rois(3, 2, 5.0).double().to(device)

    def call(x):
        return roi_align_rotated(x, rois, 2, 1.0, ratio, aligned)

    assert torch.autograd.gradcheck(call, x)
    assert torch.autograd.gradgradcheck(call, x)


@pytest.mark.parametrize("memory_format", FORMATS)
def test_gradient_of_a_map_in_bands(device, memory_format):
    # Too large for a buffer: <grad, roi_align_rotated(x)> must be <backward(grad), x>.
    g = torch.Generator().manual_seed(0)
    x = torch.randn(1, 16, 700, 640, generator=g).to(device)
    x = x.contiguous(memory_format=memory_format).requires_grad_()
    rois = random_rois(30, 1, 500.0).to(device)
    out = roi_align_rotated(x, rois, 7, 1.0, 2)
    grad = torch.randn(out.shape, generator=g).to(device)
    (grad_input,) = torch.autograd.grad(out, x, grad)
    left = (grad.double() * out.detach().double()).sum()
    right = (grad_input.double() * x.detach().double()).sum()
    torch.testing.assert_close(left, right, rtol=1e-5, atol=1e-3)


def test_more_samples_than_are_kept_at_once(device):
    # 64 x 64 samples of a bin of a plane that rises evenly: their mean is its centre's value.
    ramp = torch.arange(200.0)[:, None] + 2 * torch.arange(200.0)
    x = ramp.expand(1, 16, 200, 200).to(device)
    rois = torch.tensor([[0, 100.0, 90.0, 64.0, 64.0, 27.0]], device=device)
    out = roi_align_rotated(x, rois, 1, 1.0, -1).cpu()
    expected = torch.full((1, 16, 1, 1), 89.5 + 2 * 99.5)
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=0)


def test_boxes_far_larger_than_the_map_cost_no_more(device):
    x = torch.ones(1, 16, 8, 8, device=device, requires_grad=True)
    huge = [[0, 4, 4, s, s, 30.0] for s in (1e4, 1e8, 1e30, 3e38)]
    out = roi_align_rotated(x, torch.tensor(huge, device=device), 2, 1.0, -1)
    out.sum().backward()
    assert torch.isfinite(out).all() and torch.isfinite(x.grad).all()
    assert 64 < out[0, 0].sum() * (1e4 / 2) ** 2 < 110  # the map's 64 pixels and its border


def test_opcheck(device):
    x = torch.randn(2, 16, 6, 7, device=device, requires_grad=True)
    rois = random_rois(5, 2, 6.0).to(device)
    opcheck(torch.ops.fastcv.roi_align_rotated, (x, rois, 1.0, 2, 3, 2, True))
    grad = torch.randn(5, 16, 2, 3, device=device, requires_grad=True)
    sizes = (2, 16, 6, 7)
    opcheck(torch.ops.fastcv._roi_align_rotated_backward, (grad, rois, 1.0, 2, 3, *sizes, 2, True))
