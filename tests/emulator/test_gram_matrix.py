"""The CUDA kernels of gram_matrix, run on the CPU, against the CPU op."""

import ctypes

import pytest
import torch

import fastcv.ops  # noqa: F401  (registers torch.ops.fastcv)

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
FORMATS = [torch.contiguous_format, torch.channels_last]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}


def run(library, x):
    batch, channels, height, width = x.shape
    x = library.guard(x, "features")
    wide = torch.float64 if x.dtype == torch.float64 else torch.float32
    pixels = height * width
    parts = library.gram_matrix_parts(*(ctypes.c_int64(n) for n in (batch, channels, pixels)))
    parts = library.guard(torch.full((parts,), float("nan"), dtype=wide), "parts")
    gram = library.guard(torch.full((batch, channels, channels), -1, dtype=x.dtype), "gram")
    three = ctypes.c_int64 * 3
    getattr(library, f"gram_matrix_{str(x.dtype).removeprefix('torch.')}")(
        ctypes.c_void_p(x.data_ptr()),
        three(batch, channels, pixels),
        three(*x.stride()[:2], x.stride(3)),
        ctypes.c_double(1 / (channels * pixels)),
        ctypes.c_void_p(parts.data_ptr()),
        ctypes.c_void_p(gram.data_ptr()),
    )
    return gram


def check(library, shape, dtype, memory_format):
    g = torch.Generator().manual_seed(shape[1])
    x = torch.randn(shape, generator=g).to(dtype).contiguous(memory_format=memory_format)
    got = run(library, x)
    assert torch.equal(got, got.mT)
    expected = torch.ops.fastcv.gram_matrix(x, True)
    close = TOLERANCE[dtype]
    torch.testing.assert_close(got, expected, rtol=close, atol=close * expected.max().item())


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "shape",
    [(1, 72, 5, 8), (2, 3, 3, 7), (1, 67, 1, 1), (1, 200, 10, 24), (1, 195, 5, 5)],
    ids=["packs, two tiles", "no packs", "one pixel", "large tiles", "large tiles, no packs"],
)
def test_matches_the_cpu(emulated, memory_format, dtype, shape):
    check(emulated("gram_matrix"), shape, dtype, memory_format)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_more_than_one_run_of_pixels(emulated, dtype):
    library = emulated("gram_matrix")
    assert library.gram_matrix_parts(*map(ctypes.c_int64, (1, 8, 600))) == 4 * 64 * 64
    check(library, (1, 8, 20, 30), dtype, torch.contiguous_format)


@pytest.mark.parametrize(
    ("shape", "memory_format"),
    [((1, 70, 6, 9), FORMATS[0]), *(((1, 72, 8, 20), f) for f in FORMATS)],
    ids=["no packs", "along pixels", "along channels"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_no_race(raced, dtype, shape, memory_format):
    check(raced("gram_matrix"), shape, dtype, memory_format)
