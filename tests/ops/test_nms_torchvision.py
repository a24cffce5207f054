"""nms and batched_nms return torchvision's indices in torchvision's order, for any input."""

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcv.ops import batched_nms, nms

NAN, INF = float("nan"), float("inf")
ODD = [NAN, INF, -INF, -0.0, 1e30, 1e-30]


def random_boxes(n, seed, spread=300.0, side=80.0, odd=False, dtype=torch.float32):
    g = torch.Generator().manual_seed(seed)
    centre = torch.rand(n, 2, generator=g) * spread
    half = torch.rand(n, 2, generator=g) * side / 2
    boxes = torch.cat([centre - half, centre + half], dim=1)
    scores = (torch.rand(n, generator=g) * 50).round() / 50  # with ties
    if odd:
        where = torch.rand(n, 4, generator=g) < 0.05
        boxes[where] = torch.tensor(ODD)[torch.randint(len(ODD), (int(where.sum()),), generator=g)]
        scores[torch.rand(n, generator=g) < 0.05] = float("nan")
        boxes = torch.where(torch.rand(n, 1, generator=g) < 0.05, boxes[:, [2, 3, 0, 1]], boxes)
    return boxes.to(dtype), scores.to(dtype)


@settings(max_examples=150, deadline=None)
@given(
    n=st.integers(0, 400),
    seed=st.integers(0, 2**31),
    threshold=st.sampled_from([-1.0, 0.0, 0.1, 0.3, 0.5, 0.7, 0.95, 1.0, 2.0]),
    odd=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_nms_small(n, seed, threshold, odd, dtype):
    boxes, scores = random_boxes(n, seed, odd=odd, dtype=dtype)
    expected = torchvision.ops.nms(boxes, scores, threshold)
    assert torch.equal(nms(boxes, scores, threshold), expected)


# Past the size where boxes are filed in a grid.
def scenes(n, seed):
    """Sets that stress the search by place and size, each with its name."""
    g = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=g)

    def normal(*shape):
        return torch.randn(*shape, generator=g)

    def boxes(centre, size):
        return torch.cat([centre - size / 2, centre + size / 2], 1)

    lattice = (uniform(n, 2) * 30).floor()
    spoiled = boxes(uniform(n, 2) * 300, uniform(n, 2) * 60)
    spoiled[::19, 0], spoiled[1::23, 3] = NAN, INF
    spoiled[2::29] = spoiled[2::29].flip(1)
    yield "dense", boxes(uniform(n, 2) * 200, uniform(n, 2) * 60)
    yield "sizes over 16 octaves", boxes(uniform(n, 2) * 1000, (uniform(n, 2) * 16 - 6).exp2())
    yield (
        "nested",
        boxes(normal(n, 2) * 10, (uniform(n, 1) * 20 - 10).exp2() * (normal(n, 2) * 0.3).exp2()),
    )
    yield "lattice with empty boxes", torch.cat([lattice, lattice + (uniform(n, 2) * 8).floor()], 1)
    yield (
        "coarse coordinates",
        boxes(1e7 + (uniform(n, 2) * 300).floor(), 1 + (uniform(n, 2) * 30).floor()),
    )
    yield "areas that underflow", boxes(normal(n, 2) * 1e-19, uniform(n, 2) * 1e-19)
    yield "areas that overflow", boxes(normal(n, 2) * 1e18, uniform(n, 2) * 3e19)
    yield "thin", boxes(uniform(n, 2) * 50, torch.stack([uniform(n) * 100, uniform(n) * 2], 1))
    yield "NaN, inf and inverted", spoiled


@pytest.mark.parametrize("threshold", [0.0, 1e-5, 0.05, 0.3, 0.5, 0.7, 0.95, 1.0, 1.5])
def test_any_place_and_size(device, threshold):
    for name, boxes in scenes(1200, seed=1):
        scores = torch.rand(1200, generator=torch.Generator().manual_seed(2))
        scores[::7], scores[::31] = 0.5, NAN
        for dtype in (torch.float32, torch.float64):
            b, s = boxes.to(dtype), scores.to(dtype)
            expected = torchvision.ops.nms(b, s, threshold)
            assert torch.equal(nms(b.to(device), s.to(device), threshold).cpu(), expected), name


@settings(max_examples=80, deadline=None)
@given(
    n=st.integers(0, 300),
    seed=st.integers(0, 2**31),
    classes=st.sampled_from([1, 3, 80]),
    threshold=st.sampled_from([0.0, 0.3, 0.5, 0.7]),
)
def test_batched_nms_is_nms_within_each_class(n, seed, classes, threshold):
    boxes, scores = random_boxes(n, seed)
    idxs = torch.randint(-1, classes - 1, (n,), generator=torch.Generator().manual_seed(seed))
    kept = torch.zeros(n, dtype=torch.bool)
    for c in idxs.unique():
        mine = torch.where(idxs == c)[0]
        kept[mine[torchvision.ops.nms(boxes[mine], scores[mine], threshold)]] = True
    order = scores.sort(descending=True, stable=True)[1]
    assert torch.equal(batched_nms(boxes, scores, idxs, threshold), order[kept[order]])


def test_batched_nms_as_torchvision():
    boxes, scores = random_boxes(500, 7)
    scores = torch.rand(500, generator=torch.Generator().manual_seed(7))
    idxs = torch.arange(500) % 5
    expected = torchvision.ops.batched_nms(boxes, scores, idxs, 0.5)
    assert torch.equal(batched_nms(boxes, scores, idxs, 0.5), expected)
