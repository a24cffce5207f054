"""The CUDA kernels of flow_warp, run on the CPU, against the CPU op."""

import ctypes

import pytest
import torch

import fastcv.ops  # noqa: F401  (registers torch.ops.fastcv)

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
FORMATS = [torch.contiguous_format, torch.channels_last]


def check(library, channels, size, out_size, dtype, memory_format, padding, ordered):
    """Whole numbers and flows in quarters: every sum is exact, in any order."""
    g = torch.Generator().manual_seed(channels)
    acc = torch.float64 if dtype == torch.float64 else torch.float32
    x = torch.randint(-8, 9, (2, channels, *size), generator=g).to(dtype)
    grad = torch.randint(-2, 3, (2, channels, *out_size), generator=g).to(dtype)
    x, grad = (t.contiguous(memory_format=memory_format) for t in (x, grad))
    flow = (torch.randint(-16, 17, (2, 2, *out_size), generator=g) / 4).to(acc)
    flow[0, 0, 0, 0] = float("nan")
    align_corners = size == out_size  # else positions are in quarters only so
    sizes = (ctypes.c_int64 * 8)(2, channels, *size, *out_size, padding == "border", align_corners)
    last = memory_format == torch.channels_last
    output, by_input, by_flow = torch.full_like(grad, -1), torch.zeros_like(x, dtype=acc), flow + 1
    tensors = dict(grad=grad, x=x, flow=flow, output=output, by_input=by_input, by_flow=by_flow)
    tensors = {name: library.guard(t, name) for name, t in tensors.items()}
    at = {name: ctypes.c_void_p(t.data_ptr()) for name, t in tensors.items()}
    name = str(dtype).removeprefix("torch.")
    getattr(library, f"flow_warp_{name}")(sizes, last, at["x"], at["flow"], at["output"])
    want = torch.ops.fastcv.flow_warp(x, flow, padding, align_corners)
    assert torch.equal(tensors["output"], want)
    getattr(library, f"flow_warp_backward_{name}")(
        sizes, last, ordered, at["grad"], at["x"], at["flow"], at["by_input"], at["by_flow"]
    )
    want = torch.ops.fastcv._flow_warp_backward(
        grad.to(acc), x.to(acc), flow, padding, align_corners, True, True
    )
    assert torch.equal(tensors["by_input"], want[0])
    assert torch.equal(tensors["by_flow"], want[1])


@pytest.mark.parametrize("padding", ["zeros", "border"])
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_matches_the_cpu(emulated, dtype, memory_format, padding):
    library = emulated("flow_warp")
    for channels, out_size, ordered in ((8, (3, 4), False), (5, (6, 8), True)):
        check(library, channels, (3, 4), out_size, dtype, memory_format, padding, ordered)


@pytest.mark.parametrize("memory_format", FORMATS)
def test_no_race(raced, memory_format):
    for ordered in (False, True):
        check(
            raced("flow_warp"),
            *(9, (4, 5), (4, 5), torch.float32, memory_format, "zeros"),
            ordered=ordered,
        )
