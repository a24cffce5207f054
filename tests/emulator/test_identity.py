"""The CUDA kernel of identity, run on the CPU."""

import ctypes

import pytest
import torch


def run(library, x):
    x, y = library.guard(x, "x"), library.guard(torch.full_like(x, -1), "y")
    kernel = getattr(library, f"identity_{str(x.dtype).removeprefix('torch.')}")
    kernel(ctypes.c_void_p(x.data_ptr()), ctypes.c_void_p(y.data_ptr()), ctypes.c_int64(x.numel()))
    return y


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("n", [1, 255, 1000, 70_001])
def test_copies(emulated, dtype, n):
    x = torch.arange(n).to(dtype)
    assert torch.equal(run(emulated("identity"), x), x)


def test_no_race(raced):
    x = torch.arange(1000.0)
    assert torch.equal(run(raced("identity"), x), x)
