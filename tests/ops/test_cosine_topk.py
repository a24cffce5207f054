"""cosine_topk against sorting in plain loops; ties, odd values, the same bits in any company."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.library import opcheck

from fastcv.ops import cosine_topk

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
# Sums of some hundred products of numbers near 1, then a division by two lengths.
TOLERANCE = {torch.float64: 1e-14, torch.float32: 2e-6}


def definition(query, gallery):
    """The cosines of one query, from lists, in float64."""

    def length(row):
        return math.sqrt(math.fsum(x * x for x in row))

    found = []
    for item in gallery:
        product = math.fsum(a * b for a, b in zip(query, item, strict=True))
        lengths = length(query) * length(item)
        found.append(product / lengths if lengths > 0 else 0.0)
    return found


def check(queries, gallery, k):
    scores, indices = cosine_topk(queries, gallery, k)
    dtype = torch.float64 if queries.dtype == torch.float64 else torch.float32
    assert scores.shape == indices.shape == (len(queries), k)
    assert scores.dtype == dtype and indices.dtype == torch.int64
    tolerance = TOLERANCE[dtype]
    items = gallery.double().tolist()
    for query, of_query, found in zip(
        queries.double().tolist(), scores.tolist(), indices.tolist(), strict=True
    ):
        expected = definition(query, items)
        assert len(set(found)) == k
        # Each is its item's, and as high as the one of that rank: near ties may change places.
        assert of_query == pytest.approx([expected[i] for i in found], abs=tolerance)
        assert of_query == pytest.approx(sorted(expected, reverse=True)[:k], abs=tolerance)
        assert of_query == sorted(of_query, reverse=True)


def random(queries, gallery, d, dtype=torch.float32, seed=0):
    g = torch.Generator().manual_seed(seed)
    rows = torch.randn(queries + gallery, d, generator=g, dtype=torch.float64)
    rows *= 10 ** torch.randint(-3, 4, (len(rows), 1), generator=g)  # any lengths
    return rows[:queries].to(dtype), rows[queries:].to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("queries", "gallery", "d", "k"),
    [(3, 20, 5, 4), (1, 1, 1, 1), (13, 100, 16, 7), (5, 49, 33, 49), (2, 7, 1, 3), (1, 130, 70, 2)],
)
def test_matches_the_definition(device, queries, gallery, d, k, dtype):
    check(*(t.to(device) for t in random(queries, gallery, d, dtype)), k)


def test_more_queries_than_a_block_and_long_rows(device):
    """A block has 96 queries at most, and a product is worked out 1024 numbers at a time."""
    check(*(t.to(device) for t in random(100, 50, 3)), 5)
    check(*(t.to(device) for t in random(2, 11, 2500)), 3)
    check(*(t.to(device) for t in random(2, 5, 1100, torch.float64)), 3)


def test_many_items(device):
    """Against torch's own sorting; of whole numbers the products are exact, and many tie."""
    g = torch.Generator().manual_seed(0)
    signs = torch.randint(0, 2, (5000, 16), generator=g) * 2.0 - 1  # all of length 4
    queries = signs[:9]
    expected = (queries @ signs.T / 16).sort(dim=1, descending=True, stable=True)
    for k in (1, 10, 65, 700, 5000):
        scores, indices = cosine_topk(queries.to(device), signs.to(device), k)
        assert torch.equal(scores.cpu(), expected.values[:, :k])
        assert torch.equal(indices.cpu(), expected.indices[:, :k])


def test_equal_rows_tie_wherever_they_are():
    """On the CPU a score depends on two rows alone, to the last bit."""
    queries, some = random(4, 3, 77)
    gallery = some.repeat(67, 1)  # 201 rows: in many places of tiles
    scores, indices = cosine_topk(queries, gallery, 201)
    for query in range(4):
        for first in range(0, 201, 67):
            of_same = indices[query, first : first + 67]
            assert of_same.tolist() == list(range(int(of_same[0]), 201, 3))
            assert len(scores[query, first : first + 67].unique()) == 1


def test_any_number_of_threads_and_any_company():
    queries, gallery = random(30, 3000, 40)
    before, runs = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            runs.append(cosine_topk(queries, gallery, 12))
            alone = [cosine_topk(query[None], gallery, 12) for query in queries]
            runs.append(tuple(torch.cat(t) for t in zip(*alone, strict=True)))
    finally:
        torch.set_num_threads(before)
    for scores, indices in runs[1:]:
        assert torch.equal(scores, runs[0][0]) and torch.equal(indices, runs[0][1])


def test_zeros_are_similar_to_nothing(device):
    gallery = torch.tensor([[0.0, 0], [-2, 0], [3, 0], [0, 0]], device=device)
    queries = torch.tensor([[5.0, 0], [0, 0]], device=device)
    scores, indices = cosine_topk(queries, gallery, 4)
    assert scores.tolist() == [[1, 0, 0, -1], [0, 0, 0, 0]]
    assert indices.tolist() == [[2, 0, 3, 1], [0, 1, 2, 3]]


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_nan_comes_last(device, odd):
    gallery = torch.eye(5, device=device)
    gallery[1, 3] = gallery[3, 0] = odd
    queries = torch.ones(2, 5, device=device)
    queries[1] = odd
    scores, indices = cosine_topk(queries, gallery, 5)
    assert indices[0].tolist() == [0, 2, 4, 1, 3] and indices[1].tolist() == [0, 1, 2, 3, 4]
    assert scores[0].isnan().tolist() == [False, False, False, True, True]
    assert scores[1].isnan().all()
    # Even where only NaN came before what is found.
    many = torch.full((200, 5), odd, device=device)
    many[150] = 1
    assert cosine_topk(queries[:1], many, 2)[1].tolist() == [[150, 0]]


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
    queries, gallery = (view(t.to(device)) for t in random(8, 60, 20))
    found = cosine_topk(queries, gallery, 4)
    dense = cosine_topk(queries.contiguous(), gallery.contiguous(), 4)
    assert torch.equal(found[0], dense[0]) and torch.equal(found[1], dense[1])


def test_empty(device):
    nothing, gallery = torch.ones(0, 3, device=device), torch.ones(4, 3, device=device)
    scores, indices = cosine_topk(nothing, gallery, 2)
    assert scores.shape == indices.shape == (0, 2)
    scores, indices = cosine_topk(torch.ones(2, 0, device=device), gallery[:, :0], 3)
    assert scores.tolist() == [[0] * 3] * 2 and indices.tolist() == [[0, 1, 2]] * 2


def test_no_gradient_comes_from_it():
    queries, gallery = (t.requires_grad_() for t in random(2, 5, 3))
    assert not cosine_topk(queries, gallery, 2)[0].requires_grad


def test_opcheck(device):
    for dtype in DTYPES:
        queries, gallery = (t.to(device) for t in random(3, 9, 5, dtype))
        opcheck(torch.ops.fastcv.cosine_topk, (queries, gallery, 4))


ISA_PROGRAM = f"""
import sys, torch
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_cosine_topk import DTYPES, check, random
for dtype in DTYPES:
    for sizes in ((1, 9, 3), (14, 60, 16), (5, 50, 37), (2, 9, 1100)):
        check(*random(*sizes, dtype), 6)
"""


@pytest.mark.parametrize("isa", ["portable", "avx2", "avx512"])
def test_every_instruction_set(isa):
    subprocess.run(
        [sys.executable, "-c", ISA_PROGRAM], check=True, env={**os.environ, "FASTCV_ISA": isa}
    )


ROWS = torch.ones(3, 4)


@pytest.mark.parametrize(
    ("queries", "gallery", "k", "message"),
    [
        (ROWS[0], ROWS, 1, r"queries must have 2 dimensions, got shape \[4\]"),
        (ROWS, ROWS[0], 1, r"gallery must have shape \[N, D\] with the D of queries, got \[4\]"),
        (ROWS, ROWS[:, 1:], 1, r"gallery must have shape .* got \[3, 3\]"),
        (ROWS.long(), ROWS.long(), 1, "queries must be float64, .* got Long"),
        (ROWS, ROWS.double(), 1, "gallery must have the dtype of queries, Float, got Double"),
        (ROWS, ROWS, 0, "k must be 1 to the rows of gallery, 3, got 0"),
        (ROWS, ROWS, 4, "k must be 1 to the rows of gallery, 3, got 4"),
        (ROWS, ROWS[:0], 1, "k must be 1 to the rows of gallery, 0, got 1"),
    ],
)
def test_errors(queries, gallery, k, message):
    with pytest.raises(RuntimeError, match=message):
        cosine_topk(queries, gallery, k)
