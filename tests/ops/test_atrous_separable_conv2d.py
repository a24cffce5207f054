"""atrous_separable_conv2d against plain loops, forward and backward."""

import itertools
import os
import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.library import opcheck
from torch.nn import functional as F

from fastcv.ops import atrous_separable_conv2d

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 2e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}
FORMATS = [torch.contiguous_format, torch.channels_last]

# name: channels, output channels, kernel, stride, padding, dilation, activation
CASES = {
    "rate 2": (5, 7, (3, 3), (1, 1), (2, 2), (2, 2), "relu"),
    "rate 6, wider than the map": (37, 18, (3, 3), (1, 1), (6, 6), (6, 6), None),
    "stride 2": (20, 33, (3, 3), (2, 2), (1, 1), (1, 1), "relu"),
    "stride 3, rate 2": (4, 3, (3, 3), (3, 3), (2, 2), (2, 2), None),
    "uneven": (9, 2, (2, 4), (2, 1), (3, 2), (1, 2), "relu"),
    "pointwise alone": (3, 5, (1, 1), (1, 1), (0, 0), (1, 1), None),
    "beyond the padding": (3, 3, (2, 2), (1, 1), (9, 9), (4, 3), "relu"),
}


def oracle(x, depthwise, pointwise, depthwise_bias, pointwise_bias, stride, padding, dilation, act):
    n, c, h, w = x.shape
    kh, kw = depthwise.shape[2:]
    rows = (h + 2 * padding[0] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    columns = (w + 2 * padding[1] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    out = []
    for y in range(rows):
        for z in range(columns):
            total = x.new_zeros(n, c)
            if depthwise_bias is not None:
                total = total + depthwise_bias
            for i in range(kh):
                for j in range(kw):
                    row = y * stride[0] - padding[0] + i * dilation[0]
                    column = z * stride[1] - padding[1] + j * dilation[1]
                    if 0 <= row < h and 0 <= column < w:
                        total = total + x[:, :, row, column] * depthwise[:, 0, i, j]
            if act == "relu":
                total = total.clamp(min=0)
            out.append(total @ pointwise[:, :, 0, 0].T)
    out = torch.stack(out, -1).reshape(n, -1, rows, columns)
    return out if pointwise_bias is None else out + pointwise_bias[:, None, None]


def tensors(case, shape=(2, 6, 5), dtype=torch.float64, seed=0):
    c, d, kernel, *_ = CASES[case]
    g = torch.Generator().manual_seed(seed)
    parts = (
        torch.randn(shape[0], c, *shape[1:], generator=g),
        torch.randn(c, 1, *kernel, generator=g) / 2,
        torch.randn(d, c, 1, 1, generator=g) / c**0.5,
        torch.randn(c, generator=g),
        torch.randn(d, generator=g),
    )
    return [t.to(dtype) for t in parts]


def options(case):
    return CASES[case][3:]


def composed(
    x, depthwise, pointwise, depthwise_bias, pointwise_bias, stride, padding, dilation, act
):
    z = F.conv2d(x, depthwise, depthwise_bias, stride, padding, dilation, x.shape[1])
    return F.conv2d(z.relu() if act else z, pointwise, pointwise_bias)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_matches_the_definition(device, case, dtype, memory_format):
    x, *rest = tensors(case, dtype=dtype)
    expected = oracle(x.double(), *(t.double() for t in rest), *options(case))
    x = x.to(device).contiguous(memory_format=memory_format)
    out = atrous_separable_conv2d(x, *(t.to(device) for t in rest), *options(case))
    assert out.dtype == dtype and out.is_contiguous(memory_format=memory_format)
    close = TOLERANCE[dtype]
    torch.testing.assert_close(out.cpu().double(), expected, rtol=close, atol=close)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shape", [(1, 4, 61), (2, 37, 41), (1, 130, 9)])
def test_is_the_two_convolutions(device, case, shape, memory_format):
    x, *rest = tensors(case, shape, torch.float32)
    rest[2 + shape[0] % 2] = None  # either bias may be missing
    last = x.to(device).contiguous(memory_format=memory_format)
    on_device = [t if t is None else t.to(device) for t in rest]
    got = atrous_separable_conv2d(last, *on_device, *options(case))
    expected = composed(x, *rest, *options(case))
    torch.testing.assert_close(got.cpu(), expected, rtol=1e-5, atol=2e-5)


@settings(max_examples=60, deadline=None)
@given(
    channels=st.integers(1, 40),
    out_channels=st.integers(1, 40),
    n=st.integers(0, 2),
    size=st.tuples(st.integers(1, 24), st.integers(1, 24)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    extra=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    act=st.sampled_from([None, "relu"]),
    last=st.booleans(),
)
def test_drawn_shapes(channels, out_channels, n, size, kernel, stride, dilation, extra, act, last):
    g = torch.Generator().manual_seed(channels)
    # Half of the kernel's extent, so that it always fits.
    padding = [(d * (k - 1) + 1) // 2 + e for d, k, e in zip(dilation, kernel, extra, strict=True)]
    x = torch.randn(n, channels, *size, generator=g)
    arguments = (
        torch.randn(channels, 1, *kernel, generator=g),
        torch.randn(out_channels, channels, 1, 1, generator=g) / channels**0.5,
        torch.randn(channels, generator=g),
        torch.randn(out_channels, generator=g),
        stride, padding, dilation, act,
    )  # fmt: skip
    expected = composed(x, *arguments)
    x = x.contiguous(memory_format=torch.channels_last) if last else x
    torch.testing.assert_close(
        atrous_separable_conv2d(x, *arguments), expected, rtol=1e-5, atol=3e-5
    )


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("case", CASES)
def test_gradients_are_the_oracles(device, case, memory_format):
    x, *rest = tensors(case)
    theirs = [t.clone().requires_grad_() for t in (x, *rest)]
    expected = oracle(*theirs, *options(case))
    grad = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1)).double()
    expected_grads = torch.autograd.grad(expected, theirs, grad)
    x = x.to(device).contiguous(memory_format=memory_format)
    ours = [t.detach().requires_grad_() for t in (x, *(t.to(device) for t in rest))]
    out = atrous_separable_conv2d(*ours, *options(case))
    got = torch.autograd.grad(out, ours, grad.to(device))
    for a, b in zip(got, expected_grads, strict=True):
        torch.testing.assert_close(a.cpu(), b, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_in_bands_and_in_every_dtype(device, dtype):
    # More rows than a band holds.
    g = torch.Generator().manual_seed(0)
    x, depthwise = torch.randn(1, 40, 500, 200, generator=g), torch.randn(40, 1, 3, 3, generator=g)
    pointwise = torch.randn(8, 40, 1, 1, generator=g) / 6
    grad = torch.randn(1, 8, 500, 200, generator=g).to(device, dtype)
    ours = [t.to(device, dtype).requires_grad_() for t in (x, depthwise, pointwise)]
    theirs = [t.detach().cpu().double().requires_grad_() for t in ours]
    arguments = (None, None, 1, 12, 12, "relu")
    got = torch.autograd.grad(atrous_separable_conv2d(*ours, *arguments), ours, grad)
    expected_grads = torch.autograd.grad(composed(*theirs, *arguments), theirs, grad.cpu().double())
    for a, b in zip(got, expected_grads, strict=True):
        assert a.dtype == dtype
        error = (a.cpu().double() - b).abs().max() / b.abs().max()
        assert error < {torch.float64: 1e-12, torch.float32: 1e-5}.get(dtype, 2e-2)


@pytest.mark.parametrize("case", ["rate 2", "uneven", "pointwise alone"])
def test_gradcheck(device, case):
    parts = [t.to(device) for t in tensors(case, (1, 4, 5))]
    c = min(parts[0].shape[1], 3)
    x, depthwise, pointwise, depthwise_bias, pointwise_bias = parts
    parts = [x[:, :c], depthwise[:c], pointwise[:2, :c], depthwise_bias[:c], pointwise_bias[:2]]
    parts = [p.clone().requires_grad_() for p in parts]

    def call(*parts):
        return atrous_separable_conv2d(*parts, *options(case))

    assert torch.autograd.gradcheck(call, parts)
    assert torch.autograd.gradgradcheck(call, parts, fast_mode=True)


def test_nothing_in_it(device):
    x, depthwise, pointwise, depthwise_bias, bias = (
        t.to(device).requires_grad_() for t in tensors("rate 2", dtype=torch.float32)
    )
    rest = options("rate 2")
    out = atrous_separable_conv2d(x[:0], depthwise, pointwise, depthwise_bias, bias, *rest)
    assert out.shape == (0, 7, 6, 5)
    out.sum().backward()
    assert torch.all(depthwise.grad == 0) and torch.all(bias.grad == 0)
    empty = (x[:, :0], depthwise[:0], pointwise[:, :0], depthwise_bias[:0], bias, *rest)
    out = atrous_separable_conv2d(*empty)
    assert torch.equal(out, bias[:, None, None].expand_as(out))
    out.sum().backward()
    assert torch.all(bias.grad == 2 * 6 * 5)
    none = (x, depthwise, pointwise[:0], depthwise_bias, bias[:0], *rest)
    assert atrous_separable_conv2d(*none).shape == (2, 0, 6, 5)


def test_strided_inputs(device):
    x, *rest = (t.to(device) for t in tensors("stride 2", (2, 12, 14), torch.float32))
    strided = x[:, :, ::2, 1::2]
    rest[0] = rest[0].transpose(2, 3)
    expected = atrous_separable_conv2d(
        strided.contiguous(), rest[0].contiguous(), *rest[1:], *options("stride 2")
    )
    assert torch.equal(atrous_separable_conv2d(strided, *rest, *options("stride 2")), expected)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("case", ["rate 2", "stride 2", "rate 6, wider than the map"])
def test_a_bad_pixel_reaches_its_kernel_only(device, case, memory_format, value):
    x, depthwise, pointwise, *biases = tensors(case, (1, 9, 8), torch.float32)
    weights = (depthwise.abs() + 0.1, pointwise.abs() + 0.1, *biases)
    x[0, 1, 4, 3] = value
    expected = oracle(x, *weights, *options(case))
    x = x.to(device).contiguous(memory_format=memory_format)
    out = atrous_separable_conv2d(x, *(t.to(device) for t in weights), *options(case)).cpu()
    bad = ~torch.isfinite(expected)
    assert torch.equal(~torch.isfinite(out), bad) and bad.any() and not bad.all()
    torch.testing.assert_close(out[~bad], expected[~bad], rtol=1e-5, atol=1e-5)


def test_opcheck(device):
    for case in ("rate 2", "stride 2"):
        arguments = [t.to(device).requires_grad_() for t in tensors(case, dtype=torch.float32)]
        opcheck(torch.ops.fastcv.atrous_separable_conv2d, (*arguments, *options(case)))
        plain = [t.detach() for t in arguments]
        last = plain[0].contiguous(memory_format=torch.channels_last)
        opcheck(torch.ops.fastcv.atrous_separable_conv2d, (last, *plain[1:], *options(case)))
        grad = atrous_separable_conv2d(*plain, *options(case))
        opcheck(
            torch.ops.fastcv._atrous_separable_conv2d_backward, (grad, *plain[:4], *options(case))
        )


def test_compiles_whole(device):
    arguments = [t.to(device).requires_grad_() for t in tensors("rate 2", dtype=torch.float32)]
    compiled = torch.compile(atrous_separable_conv2d, fullgraph=True, backend="aot_eager")
    out = compiled(*arguments, *options("rate 2"))
    assert torch.equal(out, atrous_separable_conv2d(*arguments, *options("rate 2")))
    out.sum().backward()
    assert all(t.grad is not None for t in arguments)


def test_autocast_runs_in_half_precision(device):
    parts = [t.to(device) for t in tensors("rate 2", dtype=torch.float32)]
    with torch.autocast(device.type, dtype=torch.bfloat16):
        out = atrous_separable_conv2d(*parts, *options("rate 2"))
    assert out.dtype == torch.bfloat16
    half = [t.bfloat16() for t in parts]
    assert torch.equal(out, atrous_separable_conv2d(*half, *options("rate 2")))


def test_threads_and_runs_agree():
    before = torch.get_num_threads()
    try:
        for memory_format, dtype in itertools.product(FORMATS, (torch.float32, torch.bfloat16)):
            parts = tensors("rate 2", (2, 33, 31), dtype=dtype)
            parts[0] = parts[0].contiguous(memory_format=memory_format)
            torch.set_num_threads(1)
            one = atrous_separable_conv2d(*parts, *options("rate 2"))
            torch.set_num_threads(3)
            assert torch.equal(atrous_separable_conv2d(*parts, *options("rate 2")), one)
    finally:
        torch.set_num_threads(before)


ISA_PROGRAM = """
import torch, fastcv.ops
from torch.nn.functional import conv2d
g = torch.Generator().manual_seed(0)
for fmt in (torch.contiguous_format, torch.channels_last):
    for c, d, stride in ((37, 19, 1), (64, 40, 2)):
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            x = torch.randn(2, c, 9, 43, generator=g).to(dtype).contiguous(memory_format=fmt)
            w = torch.randn(c, 1, 3, 3, generator=g).to(dtype)
            p = torch.randn(d, c, 1, 1, generator=g).to(dtype)
            got = fastcv.ops.atrous_separable_conv2d(x, w, p, None, None, stride, 3, 3, "relu")
            want = conv2d(conv2d(x.double(), w.double(), None, stride, 3, 3, c).relu(), p.double())
            error = (got - want).abs().max() / want.abs().max()
            assert error < {torch.float32: 1e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}[dtype]
"""


@pytest.mark.parametrize("isa", ["portable", "avx2", "avx512"])
def test_every_instruction_set(isa):
    subprocess.run(
        [sys.executable, "-c", ISA_PROGRAM], check=True, env={**os.environ, "FASTCV_ISA": isa}
    )


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"input": torch.zeros(4, 5, 5)}, r"input must have shape \[N, C, H, W\]"),
        ({"input": torch.zeros(1, 4, 5, 5, dtype=torch.int32)}, "input must be float64"),
        (
            {"depthwise_weight": torch.zeros(4, 2, 3, 3)},
            r"depthwise_weight must have shape \[4, 1,",
        ),
        ({"pointwise_weight": torch.zeros(6, 4, 3, 3)}, "pointwise_weight must have shape"),
        ({"pointwise_weight": torch.zeros(6, 4, 1, 1).half()}, "must have the dtype of input"),
        ({"depthwise_bias": torch.zeros(3)}, r"depthwise_bias must have shape \[4\], got \[3\]"),
        ({"pointwise_bias": torch.zeros(4)}, r"pointwise_bias must have shape \[6\], got \[4\]"),
        ({"stride": 0}, "stride must be two integers of at least 1"),
        ({"padding": (0, -1)}, "padding must be two integers of at least 0"),
        ({"dilation": 0}, "dilation must be two integers of at least 1"),
        ({"dilation": 3}, "the dilated kernel, 7 x 7, must fit into the padded input, 5 x 5"),
        ({"activation": "gelu"}, "activation must be None or 'relu', got 'gelu'"),
    ],
)
def test_errors_say_what_was_wrong(changes, message):
    arguments = {
        "input": torch.zeros(1, 4, 5, 5),
        "depthwise_weight": torch.zeros(4, 1, 3, 3),
        "pointwise_weight": torch.zeros(6, 4, 1, 1),
    }
    with pytest.raises(RuntimeError, match=message):
        atrous_separable_conv2d(**{**arguments, **changes})


def test_backward_refuses_another_gradient():
    parts = tensors("rate 2", dtype=torch.float32)
    with pytest.raises(RuntimeError, match="grad must be like the output"):
        torch.ops.fastcv._atrous_separable_conv2d_backward(
            torch.zeros(2, 7, 6, 4), *parts[:4], *options("rate 2")
        )
