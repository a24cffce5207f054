"""The CUDA kernels of hog, run on the CPU, against the CPU op."""

import ctypes
import math

import pytest
import torch

import fastcv.ops  # noqa: F401  (registers torch.ops.fastcv)

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}


def check(library, shape, dtype, orientations, cell, block):
    g = torch.Generator().manual_seed(shape[1])
    images = library.guard(torch.rand(shape, generator=g).to(dtype), "images")
    wide = torch.float64 if dtype == torch.float64 else torch.float32
    # No gradient of noise lies on a border, so that these need not be exact.
    angles = [math.pi * k / orientations for k in range(1, orientations)] or [0.0]
    borders = torch.tensor([f(a) for a in angles for f in (math.cos, math.sin)], dtype=wide)
    borders = library.guard(borders, "borders")
    cells_yx = [side // cell for side in shape[2:]]
    blocks_yx = [n - block + 1 for n in cells_yx]
    cells = library.guard(torch.full((shape[0], *cells_yx, orientations), -1, dtype=wide), "cells")
    descriptors = library.guard(
        torch.full((shape[0], *blocks_yx, block, block, orientations), -1, dtype=dtype),
        "descriptors",
    )
    numbers = (ctypes.c_int64 * 11)(*shape, *cells_yx, *blocks_yx, orientations, cell, block)
    pointers = [ctypes.c_void_p(t.data_ptr()) for t in (images, borders, cells, descriptors)]
    getattr(library, f"hog_{str(dtype).removeprefix('torch.')}")(numbers, *pointers)
    expected = torch.ops.fastcv.hog(images, orientations, cell, block)
    close = TOLERANCE[dtype]
    torch.testing.assert_close(descriptors, expected, rtol=0, atol=close)


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize(
    ("shape", "options"),
    [((1, 3, 20, 27), (9, 8, 2)), ((2, 1, 13, 16), (32, 3, 3)), ((1, 2, 7, 7), (1, 7, 1))],
)
def test_matches_the_cpu(emulated, dtype, shape, options):
    check(emulated("hog"), shape, dtype, *options)


def test_no_race(raced):
    check(raced("hog"), (1, 2, 16, 18), torch.float32, 9, 4, 2)
