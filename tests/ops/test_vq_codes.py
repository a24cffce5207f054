"""vq_codes against distances in plain loops; ties, odd values, the same bits in any company."""

import math
import os
import subprocess
import sys

import pytest
import torch
from torch.library import opcheck

from fastcv.ops import vq_codes

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
# A score is two sums of D numbers, each rounded D times: some units in the last place of the
# squared lengths, which bound the products.
EPS = {torch.float64: 2**-53, torch.float32: 2**-24}


def distance(a, b):
    return math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True))


def check(vectors, codebook):
    """Each code is as near as the nearest but for rounding; counts and sums are those codes'."""
    codes, counts, sums = vq_codes(vectors, codebook)
    dtype = torch.float64 if vectors.dtype == torch.float64 else torch.float32
    size, d = codebook.shape
    assert codes.shape == vectors.shape[:1] and codes.dtype == torch.int64
    assert counts.shape == (size,) and counts.dtype == torch.int64
    assert sums.shape == (size, d) and sums.dtype == dtype
    rows, items = vectors.double().tolist(), codebook.double().tolist()
    lengths = [math.fsum(x * x for x in item) for item in items]
    expected = [[[] for _ in range(d)] for _ in range(size)]
    for row, code in zip(rows, codes.tolist(), strict=True):
        distances = [distance(row, item) for item in items]
        near = min(range(size), key=distances.__getitem__)
        scale = math.fsum(x * x for x in row) + lengths[code] + lengths[near]
        assert distances[code] - distances[near] <= 4 * (d + 2) * EPS[dtype] * scale
        for of_column, x in zip(expected[code], row, strict=True):
            of_column.append(x)
    assert counts.tolist() == [codes.tolist().count(code) for code in range(size)]
    for found, of_code in zip(sums.tolist(), expected, strict=True):
        for x, numbers in zip(found, of_code, strict=True):
            magnitude = math.fsum(map(abs, numbers))
            assert abs(x - math.fsum(numbers)) <= len(numbers) * EPS[dtype] * magnitude


def random(count, size, d, dtype=torch.float32, seed=0):
    g = torch.Generator().manual_seed(seed)
    rows = torch.randn(count + size, d, generator=g, dtype=torch.float64).to(dtype)
    return rows[:count], rows[count:]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("count", "size", "d"),
    [(3, 20, 5), (1, 1, 1), (40, 100, 16), (25, 33, 70), (2, 7, 1), (200, 3, 130), (13, 65, 3)],
)
def test_matches_the_definition(device, count, size, d, dtype):
    check(*(t.to(device) for t in random(count, size, d, dtype)))


def test_long_rows(device):
    """Of these a task has no more than one tile."""
    check(*(t.to(device) for t in random(14, 5, 7000)))
    check(*(t.to(device) for t in random(14, 3, 3000, torch.float64)))


def test_many(device):
    """Against torch; of whole numbers all sums are exact, and many distances are equal."""
    g = torch.Generator().manual_seed(0)
    vectors = torch.randint(-2, 3, (3000, 8), generator=g).float()
    codebook = torch.randint(-2, 3, (500, 8), generator=g).float()
    distances = (vectors[:, None] - codebook).square().sum(dim=2)
    expected = distances.min(dim=1, keepdim=True).values.eq(distances).int().argmax(dim=1)
    codes, counts, sums = (t.cpu() for t in vq_codes(vectors.to(device), codebook.to(device)))
    assert torch.equal(codes, expected)
    assert torch.equal(counts, expected.bincount(minlength=500))
    assert torch.equal(sums, torch.zeros(500, 8).index_add(0, expected, vectors))


def test_of_equal_codes_the_first(device):
    """A score depends on two rows alone, to the last bit: equal codes tie wherever they are."""
    vectors, some = random(30, 4, 77)
    codebook = some.repeat(40, 1)
    codes, _, _ = vq_codes(vectors.to(device), codebook.to(device))
    assert (codes < 4).all()
    assert torch.equal(codes, vq_codes(vectors.to(device), some.to(device))[0])


def test_any_number_of_threads_and_any_company():
    vectors, codebook = random(500, 300, 200)
    before, runs = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            runs.append(vq_codes(vectors, codebook))
            alone = torch.cat([vq_codes(some, codebook)[0] for some in vectors.split(7)])
            assert torch.equal(alone, runs[0][0])
    finally:
        torch.set_num_threads(before)
    for run in runs[1:]:
        assert all(torch.equal(a, b) for a, b in zip(run, runs[0], strict=True))


def test_sums_run_in_the_order_of_the_vectors(device):
    """2^24 + 1 is 2^24 in float32, so the order shows."""
    for numbers, expected in (([1, 1, 2**24], 2**24 + 2), ([2**24, 1, 1], 2**24)):
        vectors = torch.tensor(numbers, dtype=torch.float32, device=device)[:, None]
        _, counts, sums = vq_codes(vectors, torch.zeros(1, 1, device=device))
        assert counts.tolist() == [3] and sums.item() == expected


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_what_has_no_nearest_code(device, odd):
    codebook = torch.eye(5, device=device)
    vectors = torch.eye(5, device=device).repeat(5, 1)
    vectors[7, 3] = odd
    vectors[24] = odd
    codes, counts, sums = vq_codes(vectors, codebook)
    assert codes.tolist() == [-1 if n in (7, 24) else n % 5 for n in range(25)]
    assert counts.tolist() == [5, 5, 4, 5, 4]
    assert torch.equal(sums, torch.eye(5, device=device) * counts)


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_broken_code_is_nobodys(device, odd):
    vectors, codebook = (t.to(device) for t in random(40, 50, 6))
    broken = codebook.clone()
    broken[::2, 3] = odd
    codes, counts, _ = vq_codes(vectors, broken)
    assert torch.equal(codes, vq_codes(vectors, codebook[1::2])[0] * 2 + 1)
    assert (counts[::2] == 0).all()
    codes, counts, sums = vq_codes(vectors, torch.full((3, 6), odd, device=device))
    assert (codes == -1).all() and not counts.any() and not sums.any()


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.T.contiguous().T,
        lambda x: x[::2],
        lambda x: x[:, 1:-1],
        lambda x: x[:, ::3],
        lambda x: x[:1].expand(8, -1),
        lambda x: x.flip(0)[:, None].squeeze(1),
    ],
    ids=["transposed", "rows", "columns", "steps", "expanded", "turned"],
)
def test_any_strides(device, view):
    vectors, codebook = (view(t.to(device)) for t in random(60, 8, 20))
    dense = vq_codes(vectors.contiguous(), codebook.contiguous())
    assert all(torch.equal(a, b) for a, b in zip(vq_codes(vectors, codebook), dense, strict=True))


def test_empty(device):
    codebook = torch.ones(4, 3, device=device)
    codes, counts, sums = vq_codes(codebook[:0], codebook)
    assert codes.shape == (0,) and not counts.any() and torch.equal(sums, codebook * 0)
    codes, counts, sums = vq_codes(torch.ones(2, 0, device=device), codebook[:, :0])
    assert codes.tolist() == [0, 0] and counts.tolist() == [2, 0, 0, 0] and sums.shape == (4, 0)


def test_no_gradient_comes_from_it():
    vectors, codebook = (t.requires_grad_() for t in random(2, 5, 3))
    assert not vq_codes(vectors, codebook)[2].requires_grad


def test_opcheck(device):
    for dtype in DTYPES:
        opcheck(torch.ops.fastcv.vq_codes, tuple(t.to(device) for t in random(3, 9, 5, dtype)))


ISA_PROGRAM = """
import sys, torch
sys.path.insert(0, "tests/ops")
from test_vq_codes import DTYPES, check, random
for dtype in DTYPES:
    for sizes in ((1, 9, 3), (14, 60, 16), (50, 7, 37), (13, 35, 300)):
        check(*random(*sizes, dtype))
"""


@pytest.mark.parametrize("isa", ["portable", "avx2", "avx512"])
def test_every_instruction_set(isa):
    subprocess.run(
        [sys.executable, "-c", ISA_PROGRAM], check=True, env={**os.environ, "FASTCV_ISA": isa}
    )


ROWS = torch.ones(3, 4)


@pytest.mark.parametrize(
    ("vectors", "codebook", "message"),
    [
        (ROWS[0], ROWS, r"vectors must have 2 dimensions, got shape \[4\]"),
        (ROWS, ROWS[0], r"codebook must have shape \[K, D\] with the D of vectors, got \[4\]"),
        (ROWS, ROWS[:, 1:], r"codebook must have shape .* got \[3, 3\]"),
        (ROWS.long(), ROWS.long(), "vectors must be float64, .* got Long"),
        (ROWS, ROWS.double(), "codebook must have the dtype of vectors, Float, got Double"),
        (ROWS, ROWS[:0], r"codebook must have a row at least, got \[0, 4\]"),
    ],
)
def test_errors(vectors, codebook, message):
    with pytest.raises(RuntimeError, match=message):
        vq_codes(vectors, codebook)
