"""The CUDA kernels of corner_pool, run on the CPU, against the CPU op."""

import ctypes

import pytest
import torch

import fastcv.ops  # noqa: F401  (registers torch.ops.fastcv)

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
FORMATS = [torch.contiguous_format, torch.channels_last]


def lines_of(x, direction, last):
    batch, channels, height, width = x.shape
    if direction in ("top", "bottom"):
        lines = (batch, height, width * channels) if last else (batch * channels, height, width)
    else:
        lines = (batch * height, width, channels) if last else (batch * channels * height, width, 1)
    return (ctypes.c_int64 * 4)(*lines, direction in ("top", "left"))


def check(library, shape, dtype, memory_format, direction):
    g = torch.Generator().manual_seed(shape[1])
    x = torch.randint(-20, 20, shape, generator=g).to(dtype)
    grad = torch.randint(-2, 3, shape, generator=g).to(dtype)  # sums are exact
    x, grad = (t.contiguous(memory_format=memory_format) for t in (x, grad))
    lines = lines_of(x, direction, memory_format == torch.channels_last)
    x, grad = library.guard(x, "input"), library.guard(grad, "grad")
    output, by_input = (
        library.guard(torch.full_like(x, -1), name) for name in ("output", "grad_input")
    )
    name = str(dtype).removeprefix("torch.")
    pointers = [ctypes.c_void_p(t.data_ptr()) for t in (grad, x, output, by_input)]
    getattr(library, f"corner_pool_{name}")(lines, *pointers[1:3])
    assert torch.equal(output, torch.ops.fastcv.corner_pool(x, direction))
    getattr(library, f"corner_pool_backward_{name}")(lines, *pointers)
    expected = torch.ops.fastcv._corner_pool_backward(grad, x, output, direction)
    assert torch.equal(by_input, expected)


@pytest.mark.parametrize("direction", ["top", "bottom", "left", "right"])
@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_matches_the_cpu(emulated, dtype, memory_format, direction):
    check(emulated("corner_pool"), (2, 5, 9, 35), dtype, memory_format, direction)


@pytest.mark.parametrize("direction", ["bottom", "left"])
@pytest.mark.parametrize("memory_format", FORMATS)
def test_no_race(raced, memory_format, direction):
    check(raced("corner_pool"), (1, 3, 12, 34), torch.float32, memory_format, direction)
