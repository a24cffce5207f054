"""The CUDA kernel of cosine_topk, run on the CPU: tile after tile, against sorting all scores."""

import ctypes
import math

import pytest
import torch


def merged(library, scores, k, tile):
    """As the launcher: the best so far, and a tile of scores at a time."""
    rows, count = scores.shape
    best = library.guard(torch.full((rows, 2, k), float("nan"), dtype=scores.dtype), "best")
    places = library.guard(torch.full((rows, 2, k), -7), "places")
    name = str(scores.dtype).removeprefix("torch.")
    for first in range(0, count, tile):
        some = library.guard(scores[:, first : first + tile].contiguous(), "scores")
        sizes = (ctypes.c_int64 * 4)(rows, some.shape[1], first, k)
        getattr(library, f"merge_best_{name}")(
            sizes, *(ctypes.c_void_p(t.data_ptr()) for t in (some, best, places))
        )
    return best[:, 0], places[:, 0]


def check(library, scores, k, tile):
    found, places = merged(library, scores, k, tile)
    for row, of_row, at in zip(scores.tolist(), found.tolist(), places.tolist(), strict=True):
        numbers = [i for i, score in enumerate(row) if not math.isnan(score)]
        order = sorted(numbers, key=lambda i: (-row[i], i))
        order += [i for i, score in enumerate(row) if math.isnan(score)]
        assert at == order[:k]
        expected = [row[i] for i in order[:k]]
        assert of_row == pytest.approx(expected, rel=0, abs=0, nan_ok=True)


def some_scores(rows, count, values, seed=0, dtype=torch.float32):
    """Of few values, so that many tie."""
    g = torch.Generator().manual_seed(seed)
    return torch.randint(-values, values + 1, (rows, count), generator=g).to(dtype) / values


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k, tile", [(1, 200), (5, 70), (64, 64), (130, 300), (7, 1)])
def test_matches_sorting(emulated, dtype, k, tile):
    count = 300 if tile > 1 else 20
    for values in (3, 10_000):
        check(emulated("cosine_topk"), some_scores(2, count, values, k, dtype), k, tile)


def test_more_than_are_gathered_at_a_time(emulated):
    """1024 at most: rising scores are all wanted."""
    rising = torch.arange(2500.0)[None]
    check(emulated("cosine_topk"), rising, 3, 2500)
    check(emulated("cosine_topk"), rising, 1100, 1300)


def test_all_of_them(emulated):
    scores = some_scores(2, 150, 20)
    check(emulated("cosine_topk"), scores, 150, 40)


def test_nan_comes_last(emulated):
    scores = some_scores(3, 90, 4)
    scores[:, ::3] = float("nan")
    scores[1] = float("nan")
    for k in (5, 80):
        check(emulated("cosine_topk"), scores, k, 50)


def test_no_race(raced):
    check(raced("cosine_topk"), some_scores(2, 300, 50), 6, 140)
