"""panoptic_counts against plain counting, and against numpy's unique as panopticapi uses it."""

import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.library import opcheck

from fastcv.ops import panoptic_counts

DTYPES = [torch.int32, torch.int64]
IDS = torch.tensor([0, 1, 2, 255, 256, 65_536, 70_000, 2**24 - 1, 2**31 - 1])


def definition(predicted, target):
    pixels = zip(predicted.flatten().tolist(), target.flatten().tolist(), strict=True)
    return sorted((*pair, count) for pair, count in Counter(pixels).items())


def counted(predicted, target):
    pairs, counts = panoptic_counts(predicted, target)
    assert pairs.dtype == counts.dtype == torch.int64
    return [(*pair, count) for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True)]


def regions(size, scale=7, dtype=torch.int32, seed=0):
    """Regions, with ids far apart."""
    g = torch.Generator().manual_seed(seed)
    ids = IDS[torch.randint(len(IDS), size, generator=g)]
    return ids.repeat_interleave(scale, -1).repeat_interleave(scale, -2).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [(5, 9), (1, 1), (1, 40), (40, 1)])
def test_matches_the_definition(device, size, dtype):
    predicted, target = (regions(size, dtype=dtype, seed=seed) for seed in (0, 1))
    assert counted(predicted.to(device), target.to(device)) == definition(predicted, target)


@pytest.mark.parametrize("dtypes", [DTYPES, DTYPES[::-1]])
def test_dtypes_may_differ(device, dtypes):
    predicted, target = (regions((4, 4), seed=i).to(t) for i, t in enumerate(dtypes))
    assert counted(predicted.to(device), target.to(device)) == definition(predicted, target)


def test_batches_are_images_in_order(device):
    predicted, target = (regions((3, 4, 6), seed=seed) for seed in (0, 1))
    pairs, counts = panoptic_counts(predicted.to(device), target.to(device))
    for image in range(3):
        own = pairs[:, 0] == image
        found = torch.cat([pairs[own, 1:], counts[own, None]], 1).tolist()
        assert list(map(tuple, found)) == definition(predicted[image], target[image])
    assert pairs[:, 0].tolist() == sorted(pairs[:, 0].tolist())


@given(
    st.lists(st.tuples(st.sampled_from(IDS.tolist()), st.integers(0, 3)), min_size=1, max_size=90)
)
def test_any_ids_in_any_order(pixels):
    predicted, target = torch.tensor(pixels).T[:, None].contiguous()
    assert counted(predicted, target) == definition(predicted, target)


def test_as_panopticapi_counts(device):
    """One number for two ids, and numpy's unique."""
    predicted, target = (regions((20, 30), seed=seed).clamp(max=2**24 - 1) for seed in (2, 3))
    both = target.numpy().astype(np.uint64) * 256**3 + predicted.numpy().astype(np.uint64)
    labels, counts = np.unique(both, return_counts=True)
    expected = sorted(
        (int(x % 256**3), int(x // 256**3), int(n)) for x, n in zip(labels, counts, strict=True)
    )
    assert counted(predicted.to(device), target.to(device)) == expected


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_pixel_another_pair(device, dtype):
    """More pairs than a table begins with, in more pieces than one."""
    ids = torch.arange(400 * 500, dtype=dtype).view(400, 500)
    pairs, counts = panoptic_counts(ids.to(device), ids.flip(0).to(device))
    assert torch.equal(pairs[:, 0].cpu(), ids.flatten().long())
    assert torch.equal(pairs[:, 1].cpu(), ids.flip(0).flatten().long())
    assert (counts == 1).all()


def test_noise(device):
    g = torch.Generator().manual_seed(0)
    predicted, target = (torch.randint(300, (600, 700), generator=g) for _ in range(2))
    assert counted(predicted.to(device), target.to(device)) == definition(predicted, target)


def test_one_segment_and_void_everywhere(device):
    zeros = torch.zeros(500, 700, dtype=torch.int32, device=device)
    assert counted(zeros, zeros) == [(0, 0, 350_000)]
    assert counted(zeros + 5, zeros) == [(5, 0, 350_000)]


@pytest.mark.parametrize(
    "view",
    [lambda x: x.T, lambda x: x[::2], lambda x: x[:, 1:-1], lambda x: x[:1].expand(5, -1)],
    ids=["transposed", "rows", "columns", "expanded"],
)
def test_any_strides(device, view):
    predicted, target = (view(regions((6, 8), seed=seed).to(device)) for seed in (0, 1))
    assert counted(predicted, target) == definition(predicted.cpu(), target.cpu())


@pytest.mark.parametrize("shape", [(0, 5), (4, 0), (0, 4, 5), (2, 0, 5)])
def test_empty(device, shape):
    empty = torch.zeros(shape, dtype=torch.int32, device=device)
    pairs, counts = panoptic_counts(empty, empty)
    assert pairs.shape == (0, len(shape)) and counts.shape == (0,)


@pytest.mark.parametrize("bad", [-1, -(2**31), 2**31, 2**40, -(2**63)])
def test_ids_that_do_not_fit(device, bad):
    ids = regions((4, 5), dtype=torch.int64 if abs(bad) > 2**31 or bad > 0 else torch.int32)
    wrong = ids.clone()
    wrong[11, 13] = bad
    for pair in ((wrong, ids), (ids, wrong)):
        with pytest.raises(RuntimeError, match="ids must be 0 to 2147483647, some are not"):
            panoptic_counts(*(t.to(device) for t in pair))


def test_any_number_of_threads():
    predicted, target = (regions((2, 60, 90), seed=seed) for seed in (0, 1))
    before, runs = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            runs.append(counted(predicted, target))
    finally:
        torch.set_num_threads(before)
    assert runs[0] == runs[1] == runs[2]


def test_opcheck(device):
    predicted, target = (regions((2, 3, 4), seed=seed).to(device) for seed in (0, 1))
    opcheck(torch.ops.fastcv.panoptic_counts, (predicted, target))


ISA_PROGRAM = """
import torch
from collections import Counter
from fastcv.ops import panoptic_counts
g = torch.Generator().manual_seed(0)
for dtype in (torch.int32, torch.int64):
    for runs in (1, 3, 16, 17, 100):
        p, t = (torch.randint(5, (7, 40), generator=g).repeat_interleave(runs, 1).roll(i).to(dtype)
                for i in range(2))
        pairs, counts = panoptic_counts(p, t)
        want = Counter(zip(p.flatten().tolist(), t.flatten().tolist()))
        assert dict(zip(map(tuple, pairs.tolist()), counts.tolist())) == want
"""


@pytest.mark.parametrize("isa", ["portable", "avx2", "avx512"])
def test_every_instruction_set(isa):
    subprocess.run(
        [sys.executable, "-c", ISA_PROGRAM], check=True, env={**os.environ, "FASTCV_ISA": isa}
    )


MAP = torch.zeros(2, 4, 5, dtype=torch.int32)


@pytest.mark.parametrize(
    ("predicted", "target", "message"),
    [
        (MAP[0, 0], MAP[0, 0], r"predicted must have shape \[B, H, W\], got \[5\]"),
        (MAP[0], MAP, r"predicted must have shape \[B, H, W\], got \[4, 5\]"),
        (MAP, MAP[:1], r"target must have the shape of predicted, \[2, 4, 5\], got \[1, 4, 5\]"),
        (MAP[0], MAP[0, :3], r"target must have the shape of predicted, .* got \[1, 3, 5\]"),
        (MAP.float(), MAP, "predicted must be int32 or int64, got Float"),
        (MAP, MAP.byte(), "target must be int32 or int64, got Byte"),
    ],
)
def test_errors(predicted, target, message):
    with pytest.raises(RuntimeError, match=message):
        panoptic_counts(predicted, target)
