"""The CUDA kernels of mel_spectrogram, run on the CPU, against the CPU op."""

import ctypes

import pytest
import torch

import fastcv.ops  # noqa: F401  (registers torch.ops.fastcv)

# Of sums of |X|^2 that are about 10; a power of 1 is less.
TOLERANCE = {torch.float64: 1e-11, torch.float32: 2e-4}


def radices(points):
    """Fours first, as the launcher's plan has them."""
    found = []
    for r in (4, 2, *range(3, points + 1)):
        while points % r == 0:
            found.append(r)
            points //= r
    return found


def check(library, samples, size, dtype, *, hop=5, pad=0, reflect=True, magnitude=False, floor=0.0):
    g = torch.Generator().manual_seed(size)
    waves = library.guard(torch.randn(2, samples, generator=g, dtype=dtype), "waves")
    window = library.guard(torch.rand(size, generator=g, dtype=dtype), "window")
    filters = torch.rand(3, size // 2 + 1, generator=g, dtype=dtype)
    filters[0, :1], filters[2] = 0, 0
    filters = library.guard(filters, "filters")
    arguments = (waves, window, filters, hop, pad, reflect, magnitude, floor)
    expected = torch.ops.fastcv.mel_spectrogram(*arguments)
    found = library.guard(torch.full_like(expected, -7), "mel")
    turns = library.guard(torch.full((size, 2), -7, dtype=dtype), "turns")
    ranges = library.guard(torch.full((3, 2), -7, dtype=torch.int32), "ranges")
    points = size // 2 if size % 2 == 0 else size
    steps = radices(points)
    numbers = (2, samples, expected.shape[2], hop, pad, size, 3, points, len(steps))
    n = (ctypes.c_int64 * 27)(*numbers, reflect, magnitude, *steps)
    pointers = [
        ctypes.c_void_p(t.data_ptr()) for t in (waves, window, filters, turns, ranges, found)
    ]
    name = str(dtype).removeprefix("torch.")
    getattr(library, f"mel_{name}")(n, ctypes.c_double(floor), *pointers)
    close = TOLERANCE[dtype]
    torch.testing.assert_close(found, expected, rtol=close / 10, atol=close)


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("size", [1, 2, 7, 12, 40, 64, 98])
def test_matches_the_cpu(emulated, dtype, size):
    check(emulated("mel_spectrogram"), size + 23, size, dtype)


@pytest.mark.parametrize("reflect", [False, True])
def test_padding_magnitudes_and_logarithms(emulated, reflect):
    library = emulated("mel_spectrogram")
    check(library, 50, 16, torch.float64, pad=8, reflect=reflect, magnitude=True, floor=1e-5)


def test_more_points_than_threads(emulated):
    check(emulated("mel_spectrogram"), 1100, 1000, torch.float64, hop=90)


def test_no_race(raced):
    check(raced("mel_spectrogram"), 70, 60, torch.float32)
