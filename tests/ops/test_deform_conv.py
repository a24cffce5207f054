"""deform_conv2d against a plain loop over samples."""

import functools
import itertools
import json
import math
import os
import subprocess
import sys

import pytest
import torch
from torch.library import opcheck

from fastcv.ops import deform_conv2d

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS deterministic, if asked

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
# Sums of some tens of products of numbers near 1; the inputs are rounded beforehand.
TOLERANCE = {torch.float64: 1e-11, torch.float32: 1e-4, torch.float16: 1e-2, torch.bfloat16: 8e-2}
FORMATS = [torch.contiguous_format, torch.channels_last]


def sample(image, y, x):
    """The image [C, H, W] between its pixels: each weighs 1 less its distance, along each axis."""
    h, w = image.shape[1:]
    of_row = (1 - (torch.arange(h, dtype=image.dtype) - y).abs()).clamp(min=0)
    of_column = (1 - (torch.arange(w, dtype=image.dtype) - x).abs()).clamp(min=0)
    return image @ of_column @ of_row


def oracle(input, offset, weight, bias, stride, padding, dilation, mask):
    channels, (outs, of_group, kh, kw) = input.shape[1], weight.shape
    offset_groups = offset.shape[1] // (2 * kh * kw)
    wide = channels // offset_groups
    out = []
    for image, dydx, m in zip(input, offset, mask, strict=True):
        for y, x in itertools.product(*map(range, offset.shape[2:])):
            taps = []
            for tap, (i, j) in enumerate(itertools.product(range(kh), range(kw))):
                values = []
                for d in range(offset_groups):
                    k = d * kh * kw + tap
                    at_y = y * stride[0] - padding[0] + i * dilation[0] + dydx[2 * k, y, x]
                    at_x = x * stride[1] - padding[1] + j * dilation[1] + dydx[2 * k + 1, y, x]
                    values.append(m[k, y, x] * sample(image[d * wide : (d + 1) * wide], at_y, at_x))
                taps.append(torch.cat(values))
            columns = torch.stack(taps, 1).reshape(channels // of_group, -1)  # a row a group
            rows = weight.reshape(len(columns), outs * of_group // channels, -1)
            out.append((rows @ columns[:, :, None]).flatten() + bias)
    return torch.stack(out).reshape(len(input), *offset.shape[2:], outs).permute(0, 3, 1, 2)


# channels, output channels, groups, offset groups, kernel, stride, padding, dilation
CASES = {
    "plain": (16, 9, 1, 1, (3, 3), (1, 1), (1, 1), (1, 1)),
    "groups": (6, 4, 2, 3, (3, 2), (2, 1), (1, 2), (1, 2)),
    "depthwise": (20, 20, 20, 5, (1, 3), (1, 2), (0, 1), (2, 1)),
    "pointwise": (33, 1, 1, 1, (1, 1), (1, 1), (0, 0), (1, 1)),
}


@functools.cache
def case(name, dtype):
    """Arguments, the output's gradient; and the oracle's output and gradients."""
    channels, outs, groups, offset_groups, kernel, *geometry = CASES[name]
    g = torch.Generator().manual_seed(len(name))
    x = torch.randn(2, channels, 6, 7, generator=g)
    weight = torch.randn(outs, channels // groups, *kernel, generator=g)
    size = torch.nn.functional.conv2d(x, weight, None, *geometry, groups).shape[2:]
    taps = kernel[0] * kernel[1]
    offset = torch.randn(2, offset_groups * 2 * taps, *size, generator=g) * 2
    # Exact in every dtype and never whole, where the gradient jumps.
    offset = (offset * 8).round().clamp(-56, 56) / 8 + 1 / 16
    mask = torch.rand(2, offset_groups * taps, *size, generator=g)
    bias = torch.randn(outs, generator=g)
    tensors = [t.to(dtype) for t in (x, offset, weight, bias, mask)]
    wide = [t.double().requires_grad_() for t in tensors]
    expected = oracle(*wide[:4], *geometry, wide[4])
    grad = torch.randn(expected.shape, generator=g).to(dtype)
    grads = torch.autograd.grad(expected, wide, grad.double())
    return tensors, geometry, grad, expected.detach(), grads


def close(got, expected, dtype, scale=1):
    error = TOLERANCE[dtype]
    assert got.dtype == dtype and got.shape == expected.shape
    torch.testing.assert_close(
        got.detach().cpu().double(), expected, rtol=error, atol=scale * error
    )


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_matches_the_definition(device, name, dtype, memory_format):
    tensors, geometry, grad, expected, expected_grads = case(name, dtype)
    x, offset, weight, bias, mask = (t.to(device) for t in tensors)
    x, offset, mask = (t.contiguous(memory_format=memory_format) for t in (x, offset, mask))
    tensors = [t.requires_grad_() for t in (x, offset, weight, bias, mask)]
    out = deform_conv2d(*tensors[:4], *geometry, tensors[4])
    assert out.is_contiguous(memory_format=memory_format) and out.device.type == device.type
    close(out, expected, dtype)
    grad = grad.to(device).contiguous(memory_format=memory_format)
    for got, want in zip(torch.autograd.grad(out, tensors, grad), expected_grads, strict=True):
        close(got, want, dtype, scale=10)


@pytest.mark.parametrize("groups, kernel", [(1, 3), (4, 1)])
def test_without_offsets_it_is_a_convolution(device, groups, kernel):
    x = torch.randn(2, 8, 12, 30, device=device)
    weight = torch.randn(12, 8 // groups, kernel, kernel, device=device)
    expected = torch.nn.functional.conv2d(x, weight, None, 1, 1, 1, groups)
    offset = x.new_zeros(2, 2 * kernel * kernel, *expected.shape[2:])
    out = deform_conv2d(x, offset, weight, padding=1)
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-4)


def test_many_tiles_and_channels(device):
    # Columns in several chunks, some across two offset groups; the mask of ones changes nothing.
    g = torch.Generator().manual_seed(0)
    x = torch.randn(3, 600, 13, 17, generator=g, dtype=torch.float64)
    weight = torch.randn(5, 600, 1, 2, generator=g, dtype=torch.float64)
    shift = torch.tensor([0.0, 1.0, 2.0, -1.0, -1.0, 0.0, 0.0, 3.0], dtype=torch.float64)
    offset = shift[None, :, None, None].expand(3, 8, 13, 16)
    pieces = []
    for group, (dy, dx, ey, ex) in enumerate(shift.reshape(2, 4).int().tolist()):
        part = x[:, group * 300 : (group + 1) * 300]
        for tap, (oy, ox) in enumerate(((dy, dx), (ey, ex))):
            padded = torch.nn.functional.pad(part, (4, 4, 4, 4))
            at = padded[:, :, 4 + oy : 17 + oy, 4 + tap + ox : 20 + tap + ox]
            pieces.append(
                torch.einsum("nchw,oc->nohw", at, weight[:, group * 300 :][:, :300, 0, tap])
            )
    got = deform_conv2d(x.to(device), offset.to(device), weight.to(device))
    torch.testing.assert_close(got.cpu(), sum(pieces), rtol=1e-9, atol=1e-9)
    ones = torch.ones(3, 4, 13, 16, dtype=torch.float64, device=device)
    masked = deform_conv2d(x.to(device), offset.to(device), weight.to(device), mask=ones)
    assert torch.equal(masked, got)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("memory_format", FORMATS)
def test_an_image_too_large_for_the_buffers(device, memory_format, dtype):
    # Linear in input and in weight: <grad, out> must be <grad_x, x> and <grad_w, w>.
    g = torch.Generator().manual_seed(0)
    channels = 40 if device.type == "cpu" else 90
    x = torch.randn(1, channels, 330, 500, generator=g).to(dtype).to(device)
    x = x.contiguous(memory_format=memory_format)
    weight = torch.randn(2, channels, 1, 1, generator=g).to(dtype).to(device)
    offset = (torch.randn(1, 2, 330, 500, generator=g) * 20).to(dtype).to(device)
    x, weight = x.requires_grad_(), weight.requires_grad_()
    out = deform_conv2d(x, offset, weight)
    rows = slice(100, 110)
    part = oracle_rows(x.detach(), offset, weight.detach(), rows)
    error = 1e-3 if dtype == torch.float32 else 1e-1  # a position of 500 is known to 3e-5
    torch.testing.assert_close(out[0, :, rows].double().cpu(), part, rtol=error, atol=error)
    grad = torch.randn(out.shape, generator=g).to(dtype).to(device)
    grads = torch.autograd.grad(out, (x, weight), grad)
    expected = (grad.double() * out.detach().double()).sum()
    for t, of_t in zip((x, weight), grads, strict=True):
        got = (t.detach().double() * of_t.double()).sum()
        # Rounding of 330,000 products: random, so its sum grows as the root of their number.
        torch.testing.assert_close(
            got, expected, rtol=0, atol=1e-2 if dtype == torch.float32 else 10
        )


def oracle_rows(x, offset, weight, rows):
    """Rows of a pointwise convolution's output, by grid_sample in float64."""
    h, w = x.shape[2:]
    y, x0 = torch.meshgrid(torch.arange(h)[rows], torch.arange(w), indexing="ij")
    at_y, at_x = y + offset[0, 0, rows].double().cpu(), x0 + offset[0, 1, rows].double().cpu()
    grid = torch.stack([(2 * at_x + 1) / w - 1, (2 * at_y + 1) / h - 1], -1)
    sampled = torch.nn.functional.grid_sample(x.double().cpu(), grid[None], align_corners=False)
    return torch.einsum("chw,oc->ohw", sampled[0], weight[:, :, 0, 0].double().cpu())


@pytest.mark.parametrize(
    "view",
    [
        lambda t: t.flip(3).flip(3).transpose(2, 3).contiguous().transpose(2, 3),
        lambda t: torch.stack([t, t], -1)[..., 1],
        lambda t: t.repeat(1, 2, 1, 1)[:, : t.shape[1]],
    ],
    ids=["transposed", "strided", "sliced"],
)
def test_any_strides(device, view):
    tensors, geometry, grad, expected, expected_grads = case("groups", torch.float64)
    x, offset, weight, bias, mask = (t.to(device) for t in tensors)
    tensors = [view(x), view(offset), view(weight), torch.stack([bias, bias], 1)[:, 0], view(mask)]
    tensors = [t.detach().requires_grad_() for t in tensors]
    out = deform_conv2d(*tensors[:4], *geometry, tensors[4])
    close(out, expected, torch.float64)
    grads = torch.autograd.grad(out, tensors, view(grad.to(device)))
    for got, want in zip(grads, expected_grads, strict=True):
        close(got, want, torch.float64)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e30, -1e30, 6.0, -7.0, 3e9])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("memory_format", FORMATS)
def test_offsets_out_of_the_image_read_nothing(device, value, axis, memory_format):
    x = torch.ones(1, 4, 6, 6, device=device).contiguous(memory_format=memory_format)
    offset = torch.zeros(1, 2, 6, 6, device=device)
    offset[0, axis, 2, 3] = value
    weight = torch.ones(3, 4, 1, 1, device=device)
    mask = torch.ones(1, 1, 6, 6, device=device)
    tensors = [t.requires_grad_() for t in (x, offset, weight, mask)]
    out = deform_conv2d(x, offset, weight, mask=mask)
    expected = torch.full((1, 3, 6, 6), 4.0, device=device)
    expected[:, :, 2, 3] = 0
    assert torch.equal(out, expected)
    grads = torch.autograd.grad(out.sum(), tensors)
    pixels = torch.full((1, 4, 6, 6), 3.0, device=device)
    pixels[:, :, 2, 3] = 0
    assert torch.equal(grads[0], pixels)
    assert torch.all(grads[1][0, :, 2, 3] == 0) and torch.isfinite(grads[1]).all()
    assert torch.all(grads[2] == 35)
    assert grads[3][0, 0, 2, 3] == 0 and grads[3].sum() == 35 * 12


def test_nan_pixels_touch_only_what_reads_them(device):
    x = torch.zeros(1, 16, 10, 10, device=device)
    x[0, :, 5, 5] = math.nan
    offset = torch.full((1, 2, 10, 10), 0.5, device=device)
    out = deform_conv2d(x, offset, torch.ones(2, 16, 1, 1, device=device))
    assert torch.isnan(out[0, :, 4:6, 4:6]).all() and torch.isnan(out).sum() == 2 * 4


@pytest.mark.parametrize("shape, weight", [
    ((0, 4, 5, 6), (3, 4, 3, 3)), ((2, 0, 5, 6), (3, 0, 3, 3)), ((2, 4, 5, 6), (0, 4, 3, 3)),
    ((2, 4, 0, 6), (3, 4, 3, 3)),
])  # fmt: skip
def test_nothing(device, shape, weight):
    padding = 2 if 0 in shape[2:] else 1
    size = [n + 2 * padding - 2 for n in shape[2:]]
    x = torch.randn(shape, device=device, requires_grad=True)
    offset = torch.randn(shape[0], 18, *size, device=device, requires_grad=True)
    mask = torch.rand(shape[0], 9, *size, device=device, requires_grad=True)
    weight = torch.randn(weight, device=device, requires_grad=True)
    bias = torch.randn(weight.shape[0], device=device, requires_grad=True)
    out = deform_conv2d(x, offset, weight, bias, padding=padding, mask=mask)
    assert out.shape == (shape[0], weight.shape[0], *size)
    assert torch.equal(out, bias[None, :, None, None].expand_as(out))
    for grad in torch.autograd.grad(out.sum(), (x, offset, weight, mask)):
        assert torch.all(grad == 0)


def tiny(device, dtype):
    """Two groups of channels, of which the second has offset groups of its own; few elements."""
    g = torch.Generator().manual_seed(1)
    x, weight = torch.randn(1, 4, 3, 3, generator=g), torch.randn(2, 2, 1, 2, generator=g)
    offset, mask = torch.randn(1, 8, 3, 3, generator=g), torch.rand(1, 4, 3, 3, generator=g)
    tensors = [x, offset, weight, torch.randn(2, generator=g), mask]
    geometry = ((2, 1), (1, 1), (1, 2))
    return [t.to(device, dtype).requires_grad_() for t in tensors], geometry


@pytest.mark.parametrize("memory_format", FORMATS)
def test_gradcheck(device, memory_format):
    (x, *tensors), geometry = tiny(device, torch.float64)
    x = x.detach().contiguous(memory_format=memory_format).requires_grad_()

    def call(x, offset, weight, bias, mask):
        return deform_conv2d(x, offset, weight, bias, *geometry, mask)

    # Along random directions: every element is compared with the definition's above.
    assert torch.autograd.gradcheck(call, (x, *tensors), fast_mode=True)


@pytest.mark.parametrize("indices", [[0], [1], [2], [3], [4], [0, 4], [1, 2]])
def test_only_some_gradients(device, indices):
    tensors, geometry, grad, _, expected = case("groups", torch.float64)
    tensors = [
        t.to(device).detach().clone().requires_grad_(i in indices) for i, t in enumerate(tensors)
    ]
    out = deform_conv2d(*tensors[:4], *geometry, tensors[4])
    grads = torch.autograd.grad(out, [tensors[i] for i in indices], grad.to(device))
    for i, got in zip(indices, grads, strict=True):
        close(got, expected[i], torch.float64)


def test_no_gradient_of_the_gradient(device):
    x = torch.randn(1, 2, 4, 4, device=device, requires_grad=True)
    offset = torch.zeros(1, 2, 4, 4, device=device)
    out = deform_conv2d(x, offset, torch.randn(2, 2, 1, 1, device=device))
    (grad,) = torch.autograd.grad(out.pow(2).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="gradient of its gradient is not implemented"):
        grad.sum().backward()


def run_all(device, memory_format, seed=0):
    g = torch.Generator().manual_seed(seed)
    shapes = [(3, 48, 20, 23), (3, 2 * 2 * 9, 20, 23), (32, 24, 3, 3), (32,), (3, 2 * 9, 20, 23)]
    tensors = [torch.randn(s, generator=g).to(device) for s in shapes]
    tensors[0] = tensors[0].contiguous(memory_format=memory_format)
    tensors = [t.requires_grad_() for t in tensors]
    out = deform_conv2d(*tensors[:4], 1, 1, 1, tensors[4])
    return [out, *torch.autograd.grad(out, tensors, torch.ones_like(out))]


@pytest.mark.parametrize("memory_format", FORMATS)
def test_the_same_bits_at_every_run(device, memory_format):
    torch.use_deterministic_algorithms(True)
    try:
        runs = [run_all(device, memory_format) for _ in range(3)]
    finally:
        torch.use_deterministic_algorithms(False)
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(runs[0], run, strict=True))


@pytest.mark.parametrize("memory_format", FORMATS)
def test_the_same_bits_with_any_number_of_threads(memory_format):
    before = torch.get_num_threads()
    runs = []
    for threads in (1, 2, 5):
        torch.set_num_threads(threads)
        runs.append(run_all("cpu", memory_format))
    torch.set_num_threads(before)
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(runs[0], run, strict=True))


def test_opcheck(device):
    (x, offset, weight, bias, mask), geometry = tiny(device, torch.float32)
    forward = torch.ops.fastcv.deform_conv2d
    opcheck(forward, (x, offset, weight, bias, *geometry, mask))
    last = x.detach().contiguous(memory_format=torch.channels_last)
    opcheck(forward, (last, offset.detach(), weight.detach(), None, *geometry, None))
    backward = torch.ops.fastcv._deform_conv2d_backward
    grad = torch.ones(1, 2, 3, 3, device=device)
    tensors = [t.detach() for t in (grad, x, offset, weight)]
    opcheck(backward, (*tensors, mask.detach(), *geometry, True, True, True))
    opcheck(backward, (*tensors, None, *geometry, False, True, False))


def test_compiles_whole(device):
    tensors, geometry, _, expected, _ = case("groups", torch.float64)
    x, offset, weight, bias, mask = (t.to(device) for t in tensors)
    compiled = torch.compile(
        lambda x: deform_conv2d(x, offset, weight, bias, *geometry, mask) * 2,
        fullgraph=True,
        backend="aot_eager",
    )
    close(compiled(x), 2 * expected, torch.float64)


def test_autocast(device):
    tensors, geometry, _, expected, _ = case("groups", torch.float32)
    x, offset, weight, bias, mask = (t.to(device).detach().requires_grad_() for t in tensors)
    with torch.autocast(device.type, torch.bfloat16):
        out = deform_conv2d(x, offset, weight, bias, *geometry, mask)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.cpu().double(), expected, rtol=0.1, atol=0.3)
    out.sum().backward()
    assert x.grad.dtype == weight.grad.dtype == torch.float32


ISA_SCRIPT = """
import json, sys, torch
from fastcv.ops import deform_conv2d
g = torch.Generator().manual_seed(0)
out = []
for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
    for memory_format in (torch.contiguous_format, torch.channels_last):
        shapes = [(2, 21, 9, 11), (2, 54, 9, 11), (38, 21, 3, 3), (38,), (2, 27, 9, 11)]
        tensors = [torch.randn(s, generator=g).to(dtype) for s in shapes]
        tensors[0] = tensors[0].contiguous(memory_format=memory_format)
        tensors = [t.requires_grad_() for t in tensors]
        y = deform_conv2d(*tensors[:4], 1, 1, 1, tensors[4])
        grad = torch.linspace(-1, 1, y.numel()).view(y.shape).to(dtype)
        for t in (y, *torch.autograd.grad(y, tensors, grad)):
            out.append(t.double().flatten()[::7].tolist())
json.dump(out, sys.stdout)
"""


def test_every_instruction_set():
    found = {}
    for isa in ("portable", "avx2", "avx512"):
        run = subprocess.run(
            [sys.executable, "-c", ISA_SCRIPT],
            env={**os.environ, "FASTCV_ISA": isa},
            capture_output=True,
            text=True,
            check=True,
        )
        found[isa] = [torch.tensor(t, dtype=torch.float64) for t in json.loads(run.stdout)]
    for isa in ("avx2", "avx512"):
        of_a_dtype = len(found[isa]) // 4
        for i, (a, b) in enumerate(zip(found[isa], found["portable"], strict=True)):
            error = (1e-12, 1e-4, 2e-2, 1e-1)[i // of_a_dtype]
            torch.testing.assert_close(a, b, rtol=error, atol=error * b.abs().max().item())
