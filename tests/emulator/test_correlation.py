"""The CUDA kernels of correlation, run on the CPU, against the CPU op."""

import ctypes

import pytest
import torch

import fastcv.ops  # noqa: F401  (registers torch.ops.fastcv)

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


def check(library, shape, radius, dtype):
    """Whole numbers: every sum is exact, in any order."""
    g = torch.Generator().manual_seed(radius)
    batch, _, height, width = shape
    a, b = (torch.randint(-4, 5, shape, generator=g).to(dtype) for _ in range(2))
    grad = torch.randint(-2, 3, (batch, (2 * radius + 1) ** 2, height, width), generator=g).to(
        dtype
    )
    tensors = dict(
        a=a,
        b=b,
        grad=grad,
        output=torch.full_like(grad, -9),
        by_a=torch.full_like(a, -9),
        by_b=torch.full_like(a, -9),
    )
    tensors = {name: library.guard(t, name) for name, t in tensors.items()}
    at = {name: ctypes.c_void_p(t.data_ptr()) for name, t in tensors.items()}
    sizes = (ctypes.c_int64 * 5)(*shape, radius)
    name = str(dtype).removeprefix("torch.")
    getattr(library, f"correlation_{name}")(sizes, at["a"], at["b"], at["output"])
    assert torch.equal(tensors["output"], torch.ops.fastcv.correlation(a, b, radius))
    gradient = getattr(library, f"correlation_gradient_{name}")
    gradient(sizes, False, at["grad"], at["b"], at["by_a"])
    gradient(sizes, True, at["grad"], at["a"], at["by_b"])
    by_a, by_b = torch.ops.fastcv._correlation_backward(grad, a, b, radius, True, True)
    assert torch.equal(tensors["by_a"], by_a) and torch.equal(tensors["by_b"], by_b)


@pytest.mark.parametrize("dtype", DTYPES)
def test_matches_the_cpu(emulated, dtype):
    library = emulated("correlation")
    for shape, radius in (((2, 8, 5, 7), 1), ((1, 5, 3, 4), 4), ((2, 1, 1, 9), 0)):
        check(library, shape, radius, dtype)


def test_no_race(raced):
    check(raced("correlation"), (2, 5, 4, 5), 2, torch.float32)
