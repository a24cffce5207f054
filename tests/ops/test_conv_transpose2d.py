"""conv_transpose2d against plain loops: every way it goes, forward and backward."""

import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.library import opcheck
from torch.nn import functional as F

from fastcv.ops import conv_transpose2d

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
FORMATS = [torch.contiguous_format, torch.channels_last]

# name: channels, output channels, groups, kernel, stride, padding, output padding, dilation
CASES = {
    "no overlap": (5, 4, 1, (2, 2), (2, 2), (0, 0), (0, 0), (1, 1)),
    "no overlap, wide": (40, 35, 1, (2, 2), (2, 2), (0, 0), (0, 0), (1, 1)),
    "no overlap, 3 x 1": (6, 4, 2, (3, 1), (3, 1), (0, 0), (0, 0), (1, 1)),
    "no overlap, 4 x 4": (8, 3, 1, (4, 4), (4, 4), (0, 0), (0, 0), (1, 1)),
    "depthwise, k4 s2 p1": (21, 21, 21, (4, 4), (2, 2), (1, 1), (0, 0), (1, 1)),
    "depthwise, k3 s2": (17, 17, 17, (3, 3), (2, 2), (1, 1), (1, 1), (1, 1)),
    "depthwise, k16 s8": (3, 3, 3, (16, 16), (8, 8), (4, 4), (0, 0), (1, 1)),
    "depthwise, k15 s9": (17, 17, 17, (15, 13), (9, 10), (2, 1), (3, 2), (1, 1)),
    "depthwise, holes": (18, 18, 18, (1, 2), (3, 9), (0, 0), (1, 4), (1, 1)),
    "overlap": (5, 4, 1, (4, 4), (2, 2), (1, 1), (0, 0), (1, 1)),
    "dilated": (4, 4, 2, (3, 2), (2, 3), (1, 0), (1, 2), (2, 3)),
}


def oracle(x, weight, bias, stride, padding, output_padding, groups, dilation):
    """All pixels of the input lay an element of their kernels on a canvas, one after the other;
    the padding is cut off."""
    (n, c, h, w), (_, per_group, kh, kw) = x.shape, weight.shape
    size = [
        (s - 1) * stride[i] + dilation[i] * (k - 1) + output_padding[i] + 1
        for i, (s, k) in enumerate(((h, kh), (w, kw)))
    ]
    canvas = x.new_zeros(n, per_group * groups, *size)
    for channel in range(c):
        first = channel // (c // groups) * per_group
        for i in range(kh):
            for j in range(kw):
                rows = slice(i * dilation[0], i * dilation[0] + (h - 1) * stride[0] + 1, stride[0])
                columns = slice(
                    j * dilation[1], j * dilation[1] + (w - 1) * stride[1] + 1, stride[1]
                )
                canvas[:, first : first + per_group, rows, columns] += (
                    x[:, channel, None] * weight[channel, :, i, j, None, None]
                )
    out = canvas[:, :, padding[0] : size[0] - padding[0], padding[1] : size[1] - padding[1]]
    return out if bias is None else out + bias[:, None, None]


def tensors(case, shape=(2, 5, 4), seed=0, dtype=torch.float64, bias=True):
    c, d, groups, kernel, *_ = CASES[case]
    g = torch.Generator().manual_seed(seed)
    n, h, w = shape
    x = torch.randn(n, c, h, w, generator=g).to(dtype)
    weight = (torch.randn(c, d // groups, *kernel, generator=g) / c**0.5).to(dtype)
    return x, weight, torch.randn(d, generator=g).to(dtype) if bias else None


def options(case):
    _, _, groups, _, stride, padding, output_padding, dilation = CASES[case]
    return stride, padding, output_padding, groups, dilation


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_matches_the_definition(device, case, dtype, memory_format):
    x, weight, bias = tensors(case, dtype=dtype)
    expected = oracle(x.double(), weight.double(), bias.double(), *options(case))
    x = x.to(device).contiguous(memory_format=memory_format)
    out = conv_transpose2d(x, weight.to(device), bias.to(device), *options(case))
    assert out.dtype == dtype and out.is_contiguous(memory_format=memory_format)
    close = TOLERANCE[dtype]
    torch.testing.assert_close(out.cpu().double(), expected, rtol=close, atol=close)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 67), (2, 41, 19)])
def test_is_torchs(device, case, shape, memory_format):
    x, weight, bias = tensors(case, shape, dtype=torch.float32, bias=case != "overlap")
    got = conv_transpose2d(
        x.to(device).contiguous(memory_format=memory_format),
        weight.to(device),
        None if bias is None else bias.to(device),
        *options(case),
    )
    stride, padding, output_padding, groups, dilation = options(case)
    expected = F.conv_transpose2d(
        x, weight, bias, stride, padding, output_padding, groups, dilation
    )
    torch.testing.assert_close(got.cpu(), expected, rtol=1e-5, atol=2e-5)


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(),
    depthwise=st.booleans(),
    last=st.booleans(),
    n=st.integers(0, 2),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
)
def test_drawn_shapes(data, depthwise, last, n, size):
    draw = data.draw
    groups = draw(st.integers(1, 24) if depthwise else st.integers(1, 3))
    per_group = 1 if depthwise else draw(st.integers(1, 9))
    out_per_group = 1 if depthwise else draw(st.integers(1, 9))
    stride = draw(st.tuples(st.integers(1, 9), st.integers(1, 18)))
    kernel = tuple(draw(st.integers(1, 2 * s)) for s in stride) if depthwise else stride
    # Less than half of the kernel, or nothing might be left.
    padding = tuple(draw(st.integers(0, (k - 1) // 2)) for k in kernel) if depthwise else (0, 0)
    extra = tuple(draw(st.integers(0, s - 1)) for s in stride) if depthwise else (0, 0)
    g = torch.Generator().manual_seed(draw(st.integers(0, 9)))
    x = torch.randn(n, groups * per_group, *size, generator=g)
    weight = torch.randn(groups * per_group, out_per_group, *kernel, generator=g)
    bias = torch.randn(groups * out_per_group, generator=g)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    got = conv_transpose2d(x, weight, bias, stride, padding, extra, groups)
    expected = F.conv_transpose2d(x, weight, bias, stride, padding, extra, groups)
    assert got.shape == expected.shape
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize(
    "case", ["no overlap", "no overlap, 3 x 1", "depthwise, k4 s2 p1", "overlap"]
)
def test_gradients(device, case, memory_format):
    x, weight, bias = (t.to(device) for t in tensors(case, (1, 2, 3)))
    c = 3 if case.startswith("depthwise") else x.shape[1]
    x, weight, bias = x[:, :c], weight[:c], bias[: c if c == 3 else None]
    stride, padding, output_padding, groups, dilation = options(case)
    groups = c if case.startswith("depthwise") else groups
    x = x.contiguous(memory_format=memory_format).requires_grad_()
    weight, bias = weight.clone().requires_grad_(), bias.clone().requires_grad_()

    def call(x, weight, bias):
        return conv_transpose2d(x, weight, bias, stride, padding, output_padding, groups, dilation)

    assert torch.autograd.gradcheck(call, (x, weight, bias))
    assert torch.autograd.gradgradcheck(call, (x, weight, bias), fast_mode=True)


@pytest.mark.parametrize("case", ["no overlap, wide", "depthwise, k16 s8", "depthwise, k3 s2"])
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_are_the_oracles(device, case, memory_format, dtype):
    parts = tensors(case, dtype=dtype)
    ours = [t.to(device).requires_grad_() for t in parts]
    ours[0] = ours[0].detach().contiguous(memory_format=memory_format).requires_grad_()
    theirs = [t.double().requires_grad_() for t in parts]
    expected = oracle(*theirs, *options(case))
    grad = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    expected_grads = torch.autograd.grad(expected, theirs, grad.double())
    got = torch.autograd.grad(conv_transpose2d(*ours, *options(case)), ours, grad.to(device))
    for a, b in zip(got, expected_grads, strict=True):
        close = TOLERANCE[dtype] * max(1, b.abs().max().item())
        torch.testing.assert_close(a.cpu().double(), b, rtol=0, atol=2 * close)


@pytest.mark.parametrize("case", ["no overlap", "depthwise, k4 s2 p1", "overlap"])
@pytest.mark.parametrize("shape", [(0, 5, 4), (2, 5, 4)])
def test_nothing_in_it(device, case, shape):
    x, weight, bias = (t.to(device) for t in tensors(case, shape, dtype=torch.float32))
    out = conv_transpose2d(x, weight, bias, *options(case))
    assert out.shape[0] == shape[0]
    x.requires_grad_()
    weight.requires_grad_()
    bias.requires_grad_()
    conv_transpose2d(x, weight, bias, *options(case)).sum().backward()
    assert x.grad.shape == x.shape and torch.all(bias.grad == out[:, 0].numel())
    if case == "no overlap":  # no input channels: the bias is left; no output channels: nothing is
        out = conv_transpose2d(x[:, :0], weight[:0], bias, *options(case))
        assert torch.equal(out, bias[:, None, None].expand_as(out))
        bias.grad = None
        out.sum().backward()
        assert torch.all(bias.grad == out[:, 0].numel())
        assert conv_transpose2d(x, weight[:, :0], None, *options(case)).shape[1] == 0


def test_strided_inputs_and_unbatched(device):
    x, weight, bias = (t.to(device) for t in tensors("no overlap, wide", (2, 8, 6)))
    rest = options("no overlap, wide")
    strided, turned = x[:, :, ::2, 1::2], weight.transpose(2, 3)
    expected = conv_transpose2d(strided.contiguous(), turned.contiguous(), bias, *rest)
    assert torch.equal(conv_transpose2d(strided, turned, bias, *rest), expected)
    assert torch.equal(conv_transpose2d(strided[0], turned, bias, *rest), expected[0])
    assert torch.equal(
        conv_transpose2d(x, weight, None, 2), conv_transpose2d(x, weight, None, (2, 2))
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("case", [c for c in CASES if c != "overlap" and c != "dilated"])
def test_a_bad_pixel_reaches_its_kernel_only(device, case, memory_format, value):
    x, weight, bias = tensors(case, dtype=torch.float32)
    weight = weight.abs() + 0.1
    clean = conv_transpose2d(x.to(device), weight.to(device), bias.to(device), *options(case))
    x[0, 1, 2, 2] = value
    x = x.to(device).contiguous(memory_format=memory_format)
    out = conv_transpose2d(x, weight.to(device), bias.to(device), *options(case))
    expected = oracle(x.cpu(), weight, bias, *options(case))
    bad = ~torch.isfinite(expected)
    assert torch.equal(~torch.isfinite(out.cpu()), bad) and bad.any() and not bad.all()
    torch.testing.assert_close(out.cpu()[~bad], clean.cpu()[~bad], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", ["no overlap", "depthwise, k4 s2 p1", "overlap"])
def test_opcheck(device, case):
    arguments = [t.to(device).requires_grad_() for t in tensors(case, dtype=torch.float32)]
    opcheck(torch.ops.fastcv.conv_transpose2d, (*arguments, *options(case)))
    arguments[0] = arguments[0].detach().contiguous(memory_format=torch.channels_last)
    opcheck(torch.ops.fastcv.conv_transpose2d, (*arguments[:2], None, *options(case)))


def test_compiles_whole(device):
    x, weight, bias = (t.to(device) for t in tensors("no overlap", dtype=torch.float32))
    compiled = torch.compile(conv_transpose2d, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x, weight, bias, 2), conv_transpose2d(x, weight, bias, 2))


def test_autocast_runs_in_half_precision(device):
    x, weight, bias = (t.to(device) for t in tensors("no overlap", dtype=torch.float32))
    weight.requires_grad_()
    with torch.autocast(device.type, dtype=torch.bfloat16):
        out = conv_transpose2d(x, weight, bias, 2)
    assert out.dtype == torch.bfloat16
    out.float().sum().backward()
    assert weight.grad.dtype == torch.float32
    expected = conv_transpose2d(x.bfloat16(), weight.bfloat16(), bias.bfloat16(), 2)
    assert torch.equal(out, expected)


def test_threads_and_runs_agree():
    before = torch.get_num_threads()
    try:
        for case in CASES:
            x, weight, bias = tensors(case, (2, 33, 31), dtype=torch.float32)
            torch.set_num_threads(1)
            one = conv_transpose2d(x, weight, bias, *options(case))
            torch.set_num_threads(3)
            assert torch.equal(conv_transpose2d(x, weight, bias, *options(case)), one)
    finally:
        torch.set_num_threads(before)


ISA_PROGRAM = """
import torch, fastcv.ops
from torch.nn.functional import conv_transpose2d
g = torch.Generator().manual_seed(0)
for fmt in (torch.contiguous_format, torch.channels_last):
    for c, d, groups, k, s in ((37, 19, 1, 2, 2), (21, 21, 21, 16, 8), (21, 21, 21, 4, 2)):
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            x = torch.randn(2, c, 9, 23, generator=g).to(dtype).contiguous(memory_format=fmt)
            w = torch.randn(c, d // groups, k, k, generator=g).to(dtype)
            got = fastcv.ops.conv_transpose2d(x, w, None, s, 0, 0, groups)
            want = conv_transpose2d(x.double(), w.double(), None, s, 0, 0, groups)
            error = (got - want).abs().max() / want.abs().max()
            assert error < {torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}[dtype]
"""


@pytest.mark.parametrize("isa", ["portable", "avx2", "avx512"])
def test_every_instruction_set(isa):
    subprocess.run(
        [sys.executable, "-c", ISA_PROGRAM], check=True, env={**os.environ, "FASTCV_ISA": isa}
    )


def bad(**changes):
    arguments = {
        "input": torch.zeros(1, 4, 3, 3),
        "weight": torch.zeros(4, 2, 2, 2),
        "bias": torch.zeros(2),
        "stride": 2,
    }
    return {**arguments, **changes}


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"input": torch.zeros(4, 4)}, r"input must have shape \[N, C, H, W\]"),
        ({"input": torch.zeros(1, 4, 0, 3)}, "H and W above 0"),
        ({"input": torch.zeros(1, 4, 3, 3, dtype=torch.int32)}, "input must be float64"),
        ({"weight": torch.zeros(3, 2, 2, 2)}, r"weight must have shape \[4, output channels"),
        ({"weight": torch.zeros(4, 2, 2, 2).double()}, "weight must have the dtype of input"),
        ({"bias": torch.zeros(3)}, r"bias must have shape \[2\], got \[3\]"),
        ({"groups": 3}, "groups must be above 0 and divide input's channels, got 3"),
        ({"groups": 0}, "groups must be above 0"),
        ({"stride": 0}, "stride must be two integers of at least 1"),
        ({"padding": -1}, "padding must be two integers of at least 0"),
        ({"dilation": 0}, "dilation must be two integers of at least 1"),
        ({"output_padding": 2}, "output_padding must be below stride or dilation"),
        ({"padding": 3}, "the output must be at least a pixel, got 0 x 0"),
    ],
)
def test_errors_say_what_was_wrong(changes, message):
    with pytest.raises(RuntimeError, match=message):
        conv_transpose2d(**bad(**changes))
