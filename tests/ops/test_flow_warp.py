"""flow_warp against its definition, one pixel at a time, and against torch's grid_sample."""

import os
import subprocess
import sys

import pytest
import torch
from torch.library import opcheck
from torch.nn import functional as F

from fastcv.ops import flow_warp

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
FORMATS = [torch.contiguous_format, torch.channels_last]
PADDINGS = ["zeros", "border"]
# (channels, input's size, output's size); 16 and 32 channels in channels_last are read as they lie.
SIZES = [(3, (5, 7), (5, 7)), (32, (9, 6), (9, 6)), (21, (6, 11), (4, 13)), (16, (1, 8), (3, 1))]
TOLERANCE = {
    torch.float64: (1e-12, 1e-12),
    torch.float32: (1e-5, 1e-5),
    torch.float16: (2e-3, 2e-3),  # of the result's own rounding
    torch.bfloat16: (1.6e-2, 1.6e-2),
}


def base(i, size, out_size, align_corners):
    if align_corners:
        return i * (size - 1) / (out_size - 1) if out_size > 1 else 0.0
    return (i + 0.5) * size / out_size - 0.5


def definition(x, flow, padding, align_corners):
    """In float64: at each position the four pixels around it, and how near they are."""
    x, flow = x.double(), flow.double()
    batch, channels, height, width = x.shape
    out = torch.zeros(batch, channels, *flow.shape[2:], dtype=torch.float64)
    for b in range(batch):
        for i in range(flow.shape[2]):
            for j in range(flow.shape[3]):
                at_y = base(i, height, flow.shape[2], align_corners) + flow[b, 1, i, j].item()
                at_x = base(j, width, flow.shape[3], align_corners) + flow[b, 0, i, j].item()
                if padding == "border":
                    at_y = min(max(at_y, 0), height - 1)
                    at_x = min(max(at_x, 0), width - 1)
                for y in range(height):
                    for x_ in range(width):
                        weight = max(0, 1 - abs(y - at_y)) * max(0, 1 - abs(x_ - at_x))
                        if weight > 0:
                            out[b, :, i, j] += weight * x[b, :, y, x_]
    return out


def by_grid_sample(x, flow, padding, align_corners):
    height, width = x.shape[2:]
    y = torch.arange(height, dtype=flow.dtype).view(-1, 1) + flow[:, 1]
    x_ = torch.arange(width, dtype=flow.dtype) + flow[:, 0]
    if align_corners:
        grid = torch.stack([2 * x_ / (width - 1) - 1, 2 * y / (height - 1) - 1], -1)
    else:
        grid = torch.stack([(2 * x_ + 1) / width - 1, (2 * y + 1) / height - 1], -1)
    return F.grid_sample(x, grid, padding_mode=padding, align_corners=align_corners)


def example(channels, size, out_size, dtype=torch.float32, memory_format=torch.contiguous_format):
    """Flows that end between pixels, on pixels, near the border and far outside."""
    g = torch.Generator().manual_seed(channels)
    x = (
        torch.randn(2, channels, *size, generator=g)
        .to(dtype)
        .contiguous(memory_format=memory_format)
    )
    flow = torch.randn(2, 2, *out_size, generator=g) * 3
    flow[0, :, : out_size[0] // 2] = flow[0, :, : out_size[0] // 2].round()
    flow[1, :, -1, -1] = 1000.0
    return x, flow


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_matches_the_definition(device, dtype, memory_format, padding, align_corners):
    for channels, size, out_size in SIZES:
        x, flow = example(channels, size, out_size, dtype, memory_format)
        want = definition(x, flow, padding, align_corners)
        output = flow_warp(x.to(device), flow.to(device), padding, align_corners)
        assert output.dtype == dtype and output.shape == want.shape
        assert output.is_contiguous(memory_format=memory_format)
        rtol, atol = TOLERANCE[dtype]
        torch.testing.assert_close(output.cpu().double(), want, rtol=rtol, atol=atol)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("channels", [3, 32, 150])  # 150: more blocks than partial sums
def test_gradients_are_those_of_grid_sample(device, channels, padding, align_corners):
    x, flow = example(channels, (9, 12), (9, 12), torch.float64)
    flow = flow.double() + 0.01  # away from the kinks at whole numbers
    weights = torch.randn(x.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    inputs = [t.clone().requires_grad_() for t in (x, flow)]
    want = by_grid_sample(*inputs, padding, align_corners)
    of_want = torch.autograd.grad(want, inputs, weights)
    inputs = [t.to(device).requires_grad_() for t in (x, flow)]
    output = flow_warp(*inputs, padding, align_corners)
    grads = torch.autograd.grad(output, inputs, weights.to(device))
    for ours, theirs in zip((output, *grads), (want, *of_want), strict=True):
        torch.testing.assert_close(ours.cpu(), theirs, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("size", [(2, 2), (2, 40), (19, 21), (1, 9), (9, 1)])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_few_channels_in_float32_are_as_in_float64(device, channels, size, padding):
    """Vectors of a row, whole and in part; flows in eighths, so that float32 misses no kink."""
    g = torch.Generator().manual_seed(0)
    x = torch.randn(2, channels, *size, generator=g)
    flow = torch.randn(2, 2, *size, generator=g).mul(24).round().div(8)
    flow[:, :, :, ::3] = flow[:, :, :, ::3].round()
    flow[0, 0, 0, 0], flow[1, 1, -1, -1] = float("nan"), float("inf")
    weights = torch.randn(x.shape, generator=g)
    found = []
    for dtype in (torch.float32, torch.float64):
        inputs = [t.to(device, dtype).requires_grad_() for t in (x, flow)]
        output = flow_warp(*inputs, padding)
        found.append((output, *torch.autograd.grad(output, inputs, weights.to(output))))
    for narrow, wide in zip(*found, strict=True):
        torch.testing.assert_close(narrow.double(), wide, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("align_corners", [True, False])
def test_gradcheck(device, align_corners, padding, memory_format):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=g)
    x = x.contiguous(memory_format=memory_format).to(device).requires_grad_()
    for size in ((4, 5), (3, 6)):
        # Pixels lie at fifths and thirds before they move: no flow here ends on one.
        flow = torch.randn(2, 2, *size, dtype=torch.float64, generator=g).mul(8).round().div(4)
        flow = (flow + 0.11).to(device).requires_grad_()
        assert torch.autograd.gradcheck(
            lambda x, flow: flow_warp(x, flow, padding, align_corners), (x, flow)
        )
    loss = flow_warp(x, flow, padding, align_corners).square().sum()
    (grad,) = torch.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(RuntimeError, match="gradient of its gradient"):
        grad.sum().backward()


@pytest.mark.parametrize("memory_format", FORMATS)
def test_only_the_gradient_that_is_asked_for(device, memory_format):
    x, flow = example(19, (6, 7), (6, 7), memory_format=memory_format)
    both = [t.to(device).requires_grad_() for t in (x, flow)]
    grads = torch.autograd.grad(flow_warp(*both).square().sum(), both)
    for i in range(2):
        alone = [t.detach().requires_grad_(i == k) for k, t in enumerate(both)]
        (grad,) = torch.autograd.grad(flow_warp(*alone).square().sum(), alone[i])
        # Equal on the CPU; on CUDA the input's is summed in no order.
        torch.testing.assert_close(grad, grads[i], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("channels", [1, 16, 37])
def test_a_flow_of_zeros_copies(device, channels, dtype, memory_format, padding, align_corners):
    x = torch.randn(2, channels, 20, 17).to(dtype).contiguous(memory_format=memory_format)
    inf = float("inf")
    x[0, 0, 3, :4] = torch.tensor([inf, -inf, 0.0, -0.0]).to(dtype)
    x = x.to(device)
    output = flow_warp(x, torch.zeros(2, 2, 20, 17, device=device), padding, align_corners)
    bits = {2: torch.int16, 4: torch.int32, 8: torch.int64}[x.element_size()]
    assert torch.equal(output.view(bits), x.view(bits))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("memory_format", FORMATS)
def test_whole_pixels_move_exactly(device, memory_format, dtype):
    x = torch.randn(1, 32, 8, 9).to(dtype).contiguous(memory_format=memory_format).to(device)
    flow = torch.zeros(1, 2, 8, 9, device=device)
    flow[:, 0], flow[:, 1] = 2, -3
    moved = flow_warp(x, flow)
    assert torch.equal(moved[..., 3:, :-2], x[..., :-3, 2:])
    assert not moved[..., :3, :].any() and not moved[..., -2:].any()


def test_what_is_not_finite(device):
    inf, nan = float("inf"), float("nan")
    flow = torch.zeros(1, 2, 1, 4)
    flow[0, 0, 0] = torch.tensor([nan, inf, -inf, 1e38])
    for channels in (1, 16):
        x = torch.arange(1.0, 5.0).expand(1, channels, 1, 4).to(device)
        by = flow.to(device).requires_grad_()
        assert not flow_warp(x, by).any()
        bordered = flow_warp(x, by, "border")
        assert bordered[0, 0, 0].tolist() == [0, 4, 1, 4]
        (grad,) = torch.autograd.grad(bordered.sum(), by)
        assert not grad.any()
        assert not flow_warp(x, flow.flip(1).to(device)).any()  # along the other axis


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
    x = view(torch.randn(2, 32, 8, 10).contiguous(memory_format=memory_format)).to(device)
    flow = torch.randn(2 * len(x), 2, *x.shape[2:], device=device)[::2]
    x = x.detach().requires_grad_()
    same = x.detach().contiguous().requires_grad_()
    output, want = flow_warp(x, flow), flow_warp(same, flow.contiguous())
    torch.testing.assert_close(output, want, rtol=1e-6, atol=1e-6)
    weights = torch.randn_like(want)
    (grad,), (of_same,) = (
        torch.autograd.grad(o, i, weights) for o, i in ((output, x), (want, same))
    )
    torch.testing.assert_close(grad, of_same, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "out"),
    [
        ((0, 3, 4, 5), (4, 5)),
        ((2, 0, 4, 5), (4, 5)),
        ((2, 3, 0, 5), (0, 5)),
        ((2, 3, 4, 5), (0, 5)),
        ((2, 3, 0, 5), (2, 2)),
    ],
)
def test_empty(device, shape, out):
    x = torch.rand(shape, device=device).requires_grad_()
    flow = torch.rand(shape[0], 2, *out, device=device).requires_grad_()
    for padding in PADDINGS:
        output = flow_warp(x, flow, padding)
        assert output.shape == (*shape[:2], *out) and not output.any()
        output.sum().backward()
        assert x.grad.shape == x.shape and flow.grad.shape == flow.shape


def test_deterministic(device):
    """Many pixels look at the same one."""
    x = torch.randn(1, 40, 30, 30, device=device).requires_grad_()
    flow = (-torch.rand(1, 2, 30, 30, device=device) * 30).requires_grad_()
    torch.use_deterministic_algorithms(True)
    try:
        weights = torch.randn(1, 40, 30, 30, device=device)
        runs = [torch.autograd.grad(flow_warp(x, flow), (x, flow), weights) for _ in range(3)]
    finally:
        torch.use_deterministic_algorithms(False)
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(run, runs[0], strict=True))


def test_any_number_of_threads():
    x = torch.randn(3, 40, 30, 30).requires_grad_()
    flow = (torch.randn(3, 2, 30, 30) * 5).requires_grad_()
    before, runs = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            output = flow_warp(x, flow)
            runs.append((output, *torch.autograd.grad(output.square().sum(), (x, flow))))
    finally:
        torch.set_num_threads(before)
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(run, runs[0], strict=True))


def test_autocast(device):
    x = torch.randn(1, 16, 6, 7, device=device, requires_grad=True)
    flow = torch.randn(1, 2, 6, 7, device=device, requires_grad=True)
    with torch.autocast(device.type, torch.bfloat16):
        half = flow_warp(x.bfloat16(), flow)  # as of a convolution
        whole = flow_warp(x, flow.bfloat16())
    assert half.dtype == torch.bfloat16 and whole.dtype == torch.float32
    (half.float().sum() + whole.sum()).backward()
    assert x.grad.dtype == flow.grad.dtype == torch.float32 and flow.grad.any()


def test_opcheck(device):
    x = torch.randn(2, 3, 4, 5, device=device, requires_grad=True)
    flow = torch.randn(2, 2, 4, 5, device=device, requires_grad=True)
    opcheck(torch.ops.fastcv.flow_warp, (x, flow, "border", False))
    grad, x, flow = torch.randn(2, 3, 4, 5, device=device), x.detach(), flow.detach()
    for needed in ((True, True), (True, False), (False, True)):
        opcheck(torch.ops.fastcv._flow_warp_backward, (grad, x, flow, "zeros", True, *needed))


def test_compile(device):
    x, flow = (torch.randn(2, c, 4, 5, device=device) for c in (3, 2))
    compiled = torch.compile(lambda x, flow: flow_warp(x, flow) * 2, fullgraph=True)
    assert torch.equal(compiled(x, flow), flow_warp(x, flow) * 2)


ISA_PROGRAM = """
import torch
from fastcv.ops import flow_warp
g = torch.Generator().manual_seed(0)
flow = torch.randn(2, 2, 19, 37, generator=g) * 4
for channels in (3, 32, 35):
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        x = torch.randn(2, channels, 19, 37, generator=g).to(dtype)
        last = x.contiguous(memory_format=torch.channels_last)
        want = flow_warp(x.double(), flow).float()
        rtol = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1.6e-2}[dtype]
        for t in (x, last):
            torch.testing.assert_close(flow_warp(t, flow).float(), want, rtol=rtol, atol=rtol)
        grad = torch.randn(x.shape, generator=g).to(dtype)
        args = flow, "zeros", True, True, True
        backward = torch.ops.fastcv._flow_warp_backward
        exact = backward(grad.double(), x.double(), *args)
        for ours, theirs in zip(backward(grad, x, *args), exact):
            torch.testing.assert_close(ours.double(), theirs.double(), rtol=rtol, atol=10 * rtol)
"""


@pytest.mark.parametrize("isa", ["portable", "avx2", "avx512"])
def test_every_instruction_set(isa):
    subprocess.run(
        [sys.executable, "-c", ISA_PROGRAM], check=True, env={**os.environ, "FASTCV_ISA": isa}
    )


X, FLOW = torch.rand(2, 3, 4, 5), torch.rand(2, 2, 4, 5)


@pytest.mark.parametrize(
    ("input", "flow", "padding", "message"),
    [
        (X[0], FLOW, "zeros", r"input must have shape \[B, C, H, W\], got \[3, 4, 5\]"),
        (X.int(), FLOW, "zeros", "input must be float64, float32, float16 or bfloat16, got Int"),
        (X, FLOW.int(), "zeros", "flow must be float64, float32, float16 or bfloat16, got Int"),
        (X, FLOW[:1], "zeros", r"flow must have shape \[B, 2, H', W'\] with B as in input, 2, got"),
        (X, FLOW[:, :1], "zeros", r"flow must have shape .* got \[2, 1, 4, 5\]"),
        (X, FLOW[0], "zeros", r"flow must have shape .* got \[2, 4, 5\]"),
        (X, FLOW, "reflect", "padding must be zeros or border, got 'reflect'"),
    ],
)
def test_errors(input, flow, padding, message):
    with pytest.raises(RuntimeError, match=message):
        flow_warp(input, flow, padding)
