"""correlation against its definition, one pixel at a time, and against torch's shifts and means."""

import os
import subprocess
import sys

import pytest
import torch
from torch.library import opcheck
from torch.nn import functional as F

from fastcv.ops import correlation

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
FORMATS = [torch.contiguous_format, torch.channels_last]
# (batch, channels, height, width, radius); wider than a tile, more channels than a block.
SIZES = [(2, 3, 5, 7, 1), (1, 37, 4, 6, 4), (2, 1, 1, 9, 2), (1, 2, 3, 150, 3), (1, 5, 2, 2, 0)]
TOLERANCE = {
    torch.float64: (1e-12, 1e-12),
    torch.float32: (1e-5, 1e-5),
    torch.float16: (2e-3, 1e-3),  # of the result's own rounding
    torch.bfloat16: (1.6e-2, 8e-3),
}


def definition(a, b, radius):
    """In float64."""
    a, b = a.double(), b.double()
    batch, channels, height, width = a.shape
    side = 2 * radius + 1
    out = torch.zeros(batch, side * side, height, width, dtype=torch.float64)
    for y in range(height):
        for x in range(width):
            for dy in range(-radius, radius + 1):
                for dx in range(-radius, radius + 1):
                    if 0 <= y + dy < height and 0 <= x + dx < width:
                        products = a[:, :, y, x] * b[:, :, y + dy, x + dx]
                        d = (dy + radius) * side + dx + radius
                        out[:, d, y, x] = products.sum(1) / channels
    return out


def by_shifts(a, b, radius):
    height, width = a.shape[2:]
    padded = F.pad(b, [radius] * 4)
    reach = range(2 * radius + 1)
    return torch.stack(
        [(a * padded[:, :, y : y + height, x : x + width]).mean(1) for y in reach for x in reach], 1
    )


def example(size, dtype=torch.float32, memory_format=torch.contiguous_format):
    g = torch.Generator().manual_seed(size[1])
    a, b = (torch.randn(size[:4], generator=g).to(dtype) for _ in range(2))
    return tuple(t.contiguous(memory_format=memory_format) for t in (a, b))


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", SIZES)
def test_matches_the_definition(device, size, dtype, memory_format):
    a, b = example(size, dtype, memory_format)
    want = definition(a, b, size[4])
    output = correlation(a.to(device), b.to(device), size[4])
    assert output.dtype == dtype and output.shape == want.shape
    assert output.is_contiguous(memory_format=a_format(a))
    rtol, atol = TOLERANCE[dtype]
    torch.testing.assert_close(output.cpu().double(), want, rtol=rtol, atol=atol)


def a_format(t):
    return torch._prims_common.suggest_memory_format(t)


@pytest.mark.parametrize("size", [*SIZES, (1, 70, 9, 20, 4), (1, 33, 6, 130, 2)])
def test_gradients_are_those_of_shifts(device, size):
    inputs = [t.requires_grad_() for t in example(size, torch.float64)]
    want = by_shifts(*inputs, size[4])
    weights = torch.randn(want.shape, dtype=torch.float64)
    of_want = torch.autograd.grad(want, inputs, weights)
    inputs = [t.detach().to(device).requires_grad_() for t in inputs]
    output = correlation(*inputs, size[4])
    grads = torch.autograd.grad(output, inputs, weights.to(device))
    for ours, theirs in zip((output, *grads), (want, *of_want), strict=True):
        torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", DTYPES[1:])
@pytest.mark.parametrize("size", [(1, 37, 9, 20, 4), (2, 3, 5, 40, 1)])
def test_gradients_of_other_dtypes(device, size, dtype):
    a, b = example(size, dtype)
    grad = torch.randn(correlation(a, b, size[4]).shape).to(dtype)
    exact = [t.double().requires_grad_() for t in (a, b)]
    of_exact = torch.autograd.grad(correlation(*exact, size[4]), exact, grad.double())
    inputs = [t.to(device).requires_grad_() for t in (a, b)]
    grads = torch.autograd.grad(correlation(*inputs, size[4]), inputs, grad.to(device))
    rtol, atol = TOLERANCE[dtype]
    for ours, theirs in zip(grads, of_exact, strict=True):
        assert ours.dtype == dtype
        torch.testing.assert_close(ours.cpu().double(), theirs, rtol=rtol, atol=10 * atol)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("radius", [0, 1, 2])
def test_gradcheck(device, radius, memory_format):
    a, b = example((2, 3, 4, 5), torch.float64, memory_format)
    a, b = (t.to(device).requires_grad_() for t in (a, b))
    assert torch.autograd.gradcheck(lambda a, b: correlation(a, b, radius), (a, b))
    loss = correlation(a, b, radius).square().sum()
    (grad,) = torch.autograd.grad(loss, a, create_graph=True)
    with pytest.raises(RuntimeError, match="gradient of its gradient"):
        grad.sum().backward()


def test_only_the_gradient_that_is_asked_for(device):
    a, b = example((2, 19, 6, 7))
    both = [t.to(device).requires_grad_() for t in (a, b)]
    grads = torch.autograd.grad(correlation(*both, 2).square().sum(), both)
    for i in range(2):
        alone = [t.detach().requires_grad_(i == k) for k, t in enumerate(both)]
        (grad,) = torch.autograd.grad(correlation(*alone, 2).square().sum(), alone[i])
        assert torch.equal(grad, grads[i])


def test_a_moved_picture_is_found_where_it_moved(device):
    g = torch.Generator().manual_seed(0)
    a = F.normalize(torch.randn(1, 32, 16, 17, generator=g), dim=1)
    for dy, dx in ((0, 0), (2, -3), (-4, 4), (1, 0)):
        b = a.roll((dy, dx), (2, 3))
        best = correlation(a.to(device), b.to(device), 4).argmax(1)[0, 4:-4, 4:-4]
        assert (best == (dy + 4) * 9 + dx + 4).all()


def test_what_is_not_finite(device):
    """Where products take it; what lies outside is a factor of 0."""
    nan, inf = float("nan"), float("inf")
    a = torch.ones(1, 2, 1, 4)
    a[0, 1, 0, 0] = inf
    b = torch.ones(1, 2, 1, 4)
    b[0, 0, 0, 3] = nan
    output = correlation(a.to(device), b.to(device), 1).cpu()[0, :, 0]
    torch.testing.assert_close(output, by_shifts(a, b, 1)[0, :, 0], equal_nan=True)
    assert output[4, 0] == inf and output[3, 0].isnan()  # inf times what is outside


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[:, ::2],
        lambda x: x[..., 1:-1],
        lambda x: x.mT,
        lambda x: x[:1].expand(3, -1, -1, -1),
    ],
    ids=["channels", "columns", "transposed", "expanded"],
)
@pytest.mark.parametrize("memory_format", FORMATS)
def test_any_strides(device, view, memory_format):
    a, b = (view(t).to(device) for t in example((2, 32, 8, 10), memory_format=memory_format))
    a.requires_grad_()
    same = a.detach().contiguous().requires_grad_()
    output, want = correlation(a, b, 2), correlation(same, b.contiguous(), 2)
    assert torch.equal(output, want)
    weights = torch.randn_like(want)
    (grad,), (of_same,) = (
        torch.autograd.grad(o, i, weights) for o, i in ((output, a), (want, same))
    )
    assert torch.equal(grad, of_same)


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5), (2, 3, 4, 0)])
def test_empty(device, shape):
    a, b = (torch.rand(shape, device=device).requires_grad_() for _ in range(2))
    output = correlation(a, b, 1)
    assert output.shape == (shape[0], 9, *shape[2:]) and not output.any()
    output.sum().backward()
    assert a.grad.shape == b.grad.shape == shape


def test_any_number_of_threads():
    a, b = (t.requires_grad_() for t in example((3, 40, 11, 140)))
    before, runs = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            output = correlation(a, b, 2)
            runs.append((output, *torch.autograd.grad(output.square().sum(), (a, b))))
    finally:
        torch.set_num_threads(before)
    for run in runs[1:]:
        assert all(torch.equal(x, y) for x, y in zip(run, runs[0], strict=True))


def test_autocast(device):
    a, b = (t.to(device).requires_grad_() for t in example((1, 16, 6, 7)))
    with torch.autocast(device.type, torch.bfloat16):
        half = correlation(a.bfloat16(), b.bfloat16(), 1)  # as of convolutions
        whole = correlation(a, b, 1)
    assert half.dtype == torch.bfloat16 and whole.dtype == torch.float32
    (half.float().sum() + whole.sum()).backward()
    assert a.grad.dtype == torch.float32 and b.grad.any()


def test_opcheck(device):
    a, b = (t.to(device).requires_grad_() for t in example((2, 3, 4, 5)))
    opcheck(torch.ops.fastcv.correlation, (a, b, 2))
    last = a.detach().contiguous(memory_format=torch.channels_last)
    opcheck(torch.ops.fastcv.correlation, (last, b.detach(), 1))
    grad, a, b = torch.randn(2, 25, 4, 5, device=device), a.detach(), b.detach()
    for needed in ((True, True), (True, False), (False, True)):
        opcheck(torch.ops.fastcv._correlation_backward, (grad, a, b, 2, *needed))


def test_compile(device):
    a, b = (t.to(device) for t in example((2, 3, 4, 5)))
    compiled = torch.compile(lambda a, b: correlation(a, b, 1) * 2, fullgraph=True)
    assert torch.equal(compiled(a, b), correlation(a, b, 1) * 2)


ISA_PROGRAM = """
import torch
from fastcv.ops import correlation
g = torch.Generator().manual_seed(0)
for channels, height, width, radius in ((3, 5, 37, 4), (35, 6, 150, 2), (64, 3, 16, 1)):
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        a, b = (torch.randn(2, channels, height, width, generator=g).to(dtype) for _ in range(2))
        want = correlation(a.double(), b.double(), radius).float()
        rtol = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}[dtype]
        ours = correlation(a, b, radius).float()
        torch.testing.assert_close(ours, want, rtol=rtol, atol=rtol)
        grad = torch.randn(want.shape, generator=g).to(dtype)
        backward = torch.ops.fastcv._correlation_backward
        exact = backward(grad.double(), a.double(), b.double(), radius, True, True)
        for ours, theirs in zip(backward(grad, a, b, radius, True, True), exact):
            torch.testing.assert_close(ours.double(), theirs, rtol=rtol, atol=10 * rtol)
"""


@pytest.mark.parametrize("isa", ["portable", "avx2", "avx512"])
def test_every_instruction_set(isa):
    subprocess.run(
        [sys.executable, "-c", ISA_PROGRAM], check=True, env={**os.environ, "FASTCV_ISA": isa}
    )


A = torch.rand(2, 3, 4, 5)


@pytest.mark.parametrize(
    ("a", "b", "radius", "message"),
    [
        (A[0], A[0], 1, r"a must have shape \[B, C, H, W\], got \[3, 4, 5\]"),
        (A.int(), A.int(), 1, "a must be float64, float32, float16 or bfloat16, got Int"),
        (A, A[:1], 1, r"b must have the shape of a, \[2, 3, 4, 5\], got \[1, 3, 4, 5\]"),
        (A, A.double(), 1, "b must have the dtype of a, Float, got Double"),
        (A, A, -1, "radius must be 0 to 32767, got -1"),
        (A, A, 32768, "radius must be 0 to 32767, got 32768"),
    ],
)
def test_errors(a, b, radius, message):
    with pytest.raises(RuntimeError, match=message):
        correlation(a, b, radius)


def test_a_gradient_of_another_shape():
    with pytest.raises(RuntimeError, match="grad must have the output's shape, got"):
        torch.ops.fastcv._correlation_backward(torch.rand(2, 8, 4, 5), A, A, 1, True, True)
