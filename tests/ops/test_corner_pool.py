"""corner_pool against its definition: the largest value from a pixel on, one pixel at a time."""

import os
import subprocess
import sys

import pytest
import torch
from torch.library import opcheck

from fastcv.ops import corner_pool

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
FORMATS = [torch.contiguous_format, torch.channels_last]
DIRECTIONS = ["top", "bottom", "left", "right"]
SHAPES = [(2, 3, 5, 7), (1, 33, 40, 35), (1, 1, 1, 9), (3, 20, 9, 1), (1, 2, 70, 66)]


def definition(x, direction):
    """Output and, of each, the pixel along the line that it came from, the nearest of equals."""
    dim, step = {"top": (2, 1), "bottom": (2, -1), "left": (3, 1), "right": (3, -1)}[direction]
    lines = x.double().movedim(dim, -1)
    length = lines.shape[-1]
    output, source = torch.empty_like(lines), torch.empty(lines.shape, dtype=torch.int64)
    for start in range(length):
        best, at = lines[..., start], torch.full(lines.shape[:-1], start)
        for i in range(start + step, length if step > 0 else -1, step):
            larger = (lines[..., i] > best) | (lines[..., i].isnan() & ~best.isnan())
            best, at = lines[..., i].where(larger, best), torch.where(larger, i, at)
        output[..., start], source[..., start] = best, at
    return output.movedim(-1, dim), source.movedim(-1, dim), dim


def whole_numbers(shape, dtype, memory_format=torch.contiguous_format):
    """Few different values, so that many are equal."""
    g = torch.Generator().manual_seed(shape[1])
    x = torch.randint(-20, 20, shape, generator=g).to(dtype)
    return x.contiguous(memory_format=memory_format)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_matches_the_definition(device, shape, dtype, memory_format, direction):
    x = whole_numbers(shape, dtype, memory_format).to(device).requires_grad_()
    want, source, dim = definition(x.detach().cpu(), direction)
    output = corner_pool(x, direction)
    assert output.dtype == dtype and output.is_contiguous(memory_format=memory_format)
    assert torch.equal(output.detach().cpu().double(), want)
    # Whole numbers of few bits: sums of them are exact in every dtype.
    g = torch.Generator().manual_seed(0)
    weights = torch.randint(-1, 2, shape, generator=g).to(dtype)
    (grad,) = torch.autograd.grad(output, x, weights.to(device))
    expected = torch.zeros(shape, dtype=torch.float64)
    expected.scatter_add_(dim, source, weights.double())
    assert grad.is_contiguous(memory_format=memory_format)
    assert torch.equal(grad.cpu().double(), expected)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_is_cummax(device, direction):
    x = torch.randn(2, 3, 50, 40, device=device)
    dim = 2 if direction in ("top", "bottom") else 3
    turned = x.flip(dim) if direction in ("top", "left") else x
    want = turned.cummax(dim).values
    want = want.flip(dim) if direction in ("top", "left") else want
    assert torch.equal(corner_pool(x, direction), want)


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("memory_format", FORMATS)
def test_gradcheck(device, memory_format, direction):
    g = torch.Generator().manual_seed(0)
    x = torch.randperm(2 * 3 * 4 * 5, generator=g).double().view(2, 3, 4, 5)  # no two are near
    x = x.contiguous(memory_format=memory_format).to(device).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: corner_pool(x, direction), x)
    (grad,) = torch.autograd.grad(corner_pool(x, direction).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="gradient of its gradient"):
        grad.sum().backward()


@pytest.mark.parametrize("direction", DIRECTIONS)
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
def test_any_strides(device, view, memory_format, direction):
    x = view(whole_numbers((2, 6, 8, 10), torch.float32, memory_format).to(device))
    assert torch.equal(corner_pool(x, direction), corner_pool(x.contiguous(), direction))


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_what_is_not_finite(device, direction):
    inf, nan = float("inf"), float("nan")
    line = torch.tensor([1.0, -inf, nan, 2.0, inf, -inf, 5.0])
    x = torch.stack([line, line.flip(0), torch.full((7,), -inf)] * 7)[None, None, :7].to(device)
    x.requires_grad_()
    want, source, dim = definition(x.detach().cpu(), direction)
    output = corner_pool(x, direction)
    torch.testing.assert_close(output.detach().cpu().double(), want, equal_nan=True, rtol=0, atol=0)
    (grad,) = torch.autograd.grad(output, x, torch.ones_like(output))
    expected = torch.zeros_like(want).scatter_add_(dim, source, torch.ones_like(want))
    finite = ~x.detach().isnan().cpu()  # of several NaN in a line, which one gets it is left open
    lines = expected.sum(dim)
    torch.testing.assert_close(grad.cpu().double().sum(dim), lines)
    assert torch.equal(grad.cpu().double()[finite], expected[finite])


@pytest.mark.parametrize("shape", [(0, 3, 4, 5), (2, 0, 4, 5), (2, 3, 0, 5), (2, 3, 4, 0)])
def test_empty(device, shape):
    x = torch.rand(shape, device=device).requires_grad_()
    for direction in DIRECTIONS:
        output = corner_pool(x, direction)
        assert output.shape == shape
        output.sum().backward()


def test_opcheck(device):
    x = torch.randn(2, 3, 4, 5, device=device, requires_grad=True)
    opcheck(torch.ops.fastcv.corner_pool, (x, "left"))
    y = corner_pool(x.detach(), "top")
    opcheck(torch.ops.fastcv._corner_pool_backward, (y, x.detach(), y, "top"))


def test_compile(device):
    x = torch.randn(2, 3, 4, 5, device=device)
    compiled = torch.compile(
        lambda x: corner_pool(x, "top") + corner_pool(x, "left"), fullgraph=True
    )
    assert torch.equal(compiled(x), corner_pool(x, "top") + corner_pool(x, "left"))


ISA_PROGRAM = """
import torch
from fastcv.ops import corner_pool
x = torch.randn(2, 19, 40, 37, generator=torch.Generator().manual_seed(0))
for x in (x, x.contiguous(memory_format=torch.channels_last)):
    x.requires_grad_()
    for direction, dim in (("bottom", 2), ("right", 3)):
        want = x.cummax(dim).values
        assert torch.equal(corner_pool(x, direction), want)
        weights = torch.arange(x.numel()).reshape(x.shape) % 7.0
        (grad,) = torch.autograd.grad(corner_pool(x, direction), x, weights)
        assert torch.equal(grad, torch.autograd.grad(want, x, weights)[0])
"""


@pytest.mark.parametrize("isa", ["portable", "avx2", "avx512"])
def test_every_instruction_set(isa):
    subprocess.run(
        [sys.executable, "-c", ISA_PROGRAM], check=True, env={**os.environ, "FASTCV_ISA": isa}
    )


@pytest.mark.parametrize(
    ("input", "direction", "message"),
    [
        (torch.rand(3, 4, 5), "top", r"input must have shape \[B, C, H, W\], got \[3, 4, 5\]"),
        (torch.zeros(1, 2, 3, 4, dtype=torch.int32), "top", "input must be float64"),
        (torch.rand(1, 2, 3, 4), "up", "direction must be top, bottom, left or right, got 'up'"),
    ],
)
def test_errors(input, direction, message):
    with pytest.raises(RuntimeError, match=message):
        corner_pool(input, direction)
