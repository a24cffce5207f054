"""The CUDA kernels of vq_codes, run on the CPU, against distances in exact numbers."""

import ctypes
import math

import pytest
import torch

from fastcv.ops import vq_codes

DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]


def pointers(*tensors):
    return (ctypes.c_void_p(t.data_ptr()) for t in tensors)


def by_kernels(library, vectors, codebook):
    """As the launcher: nearest codes, then each code's vectors in their order."""
    (count, d), size = vectors.shape, len(codebook)
    name = str(vectors.dtype).removeprefix("torch.")
    dtype = torch.float64 if vectors.dtype == torch.float64 else torch.float32
    sizes = (ctypes.c_int64 * 7)(count, size, d, *vectors.stride(), *codebook.stride())
    codes = library.guard(torch.full((count,), -7), "codes")
    getattr(library, f"vq_nearest_{name}")(sizes, *pointers(vectors, codebook, codes))
    by_code, order = codes.sort(stable=True)
    starts = torch.searchsorted(by_code, torch.arange(size + 1))
    counts = library.guard(torch.full((size,), -7), "counts")
    sums = library.guard(torch.full((size, d), math.nan, dtype=dtype), "sums")
    getattr(library, f"vq_sums_{name}")(sizes, *pointers(vectors, order, starts, counts, sums))
    return codes, counts, sums


def whole_numbers(count, size, d, dtype=torch.float32, seed=0):
    """Products and sums of them are exact, and many distances are equal."""
    g = torch.Generator().manual_seed(seed)
    rows = torch.randint(-3, 4, (count + size, d), generator=g).to(dtype)
    return rows[:count], rows[count:]


def by_definition(vectors, codebook):
    codes, counts = [], [0] * len(codebook)
    sums = [[0.0] * vectors.shape[1] for _ in codebook]
    for row in vectors.tolist():
        distances = [
            sum((a - b) ** 2 for a, b in zip(row, code, strict=True)) for code in codebook.tolist()
        ]
        code = distances.index(min(distances))
        codes.append(code)
        counts[code] += 1
        sums[code] = [a + b for a, b in zip(sums[code], row, strict=True)]
    return codes, counts, sums


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(1, 1, 1), (70, 5, 3), (3, 70, 17), (65, 130, 16)])
def test_matches_the_definition(emulated, sizes, dtype):
    vectors, codebook = whole_numbers(*sizes, dtype)
    codes, counts, sums = by_kernels(emulated("vq_codes"), vectors, codebook)
    expected = by_definition(vectors, codebook)
    assert codes.tolist() == expected[0] and counts.tolist() == expected[1]
    assert sums.tolist() == expected[2]


def test_same_bits_as_on_the_cpu(emulated):
    """Where the CPU has a fused multiply-add, as the kernel."""
    g = torch.Generator().manual_seed(1)
    vectors, codebook = torch.randn(80, 20, generator=g), torch.randn(70, 20, generator=g)
    on_cpu = vq_codes(vectors, codebook)
    for found, expected in zip(
        by_kernels(emulated("vq_codes"), vectors, codebook), on_cpu, strict=True
    ):
        assert torch.equal(found, expected)


def test_more_columns_than_a_block_of_sums(emulated):
    vectors, codebook = whole_numbers(5, 3, 140)
    _, counts, sums = by_kernels(emulated("vq_codes"), vectors, codebook)
    expected = by_definition(vectors, codebook)
    assert counts.tolist() == expected[1] and sums.tolist() == expected[2]


def test_any_strides(emulated):
    vectors, codebook = (t.T.contiguous().T for t in whole_numbers(40, 9, 6))
    codes, _, sums = by_kernels(emulated("vq_codes"), vectors, codebook)
    expected = by_definition(vectors, codebook)
    assert codes.tolist() == expected[0] and sums.tolist() == expected[2]


def test_nan_has_no_code(emulated):
    vectors, codebook = whole_numbers(6, 4, 5)
    vectors[1, 2], vectors[3, 0] = math.nan, math.inf
    codebook[0, 0] = math.nan
    codes, counts, sums = by_kernels(emulated("vq_codes"), vectors, codebook)
    good = torch.tensor([0, 2, 4, 5])
    expected = by_definition(vectors[good], codebook[1:])
    assert codes[[1, 3]].tolist() == [-1, -1]
    assert (codes[good] - 1).tolist() == expected[0]
    assert counts.tolist() == [0, *expected[1]] and sums[1:].tolist() == expected[2]
    assert sums[0].tolist() == [0] * 5


def test_no_race(raced):
    vectors, codebook = whole_numbers(70, 66, 18)
    codes, _, _ = by_kernels(raced("vq_codes"), vectors, codebook)
    assert codes.tolist() == by_definition(vectors, codebook)[0]
