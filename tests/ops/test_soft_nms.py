"""soft_nms and batched_soft_nms against the paper's loop in float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.library import opcheck

from fastcv.ops import batched_soft_nms, nms, soft_nms

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
NAN, INF = float("nan"), float("inf")


def iou(a, b):
    w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - w * h
    return w * h / union if union != 0 else NAN


def oracle(boxes, scores, method, iou_threshold, sigma, score_threshold, idxs=None):
    boxes, left = boxes.double().tolist(), dict(enumerate(scores.double().tolist()))
    left = {i: s for i, s in left.items() if s >= score_threshold}
    keep, kept_scores = [], []
    while left:
        best = max(left, key=lambda i: (left[i], -i))
        keep.append(best)
        kept_scores.append(left.pop(best))
        for i in list(left):
            if idxs is not None and idxs[i] != idxs[best]:
                continue
            overlap = iou(boxes[best], boxes[i])
            if method == "linear" and overlap > iou_threshold:
                left[i] *= 1 - overlap
            if method == "gaussian" and overlap > 0:
                left[i] *= math.exp(-(overlap**2) / sigma)
            if left[i] < score_threshold:
                del left[i]
    return keep, kept_scores


def random_boxes(n, extent=100.0, dtype=torch.float32, seed=0):
    g = torch.Generator().manual_seed(seed)
    corner = torch.rand(n, 2, generator=g) * extent
    boxes = torch.cat([corner, corner + 5 + 30 * torch.rand(n, 2, generator=g)], 1)
    return boxes.to(dtype), torch.rand(n, generator=g).to(dtype)


@pytest.mark.parametrize("method", ["linear", "gaussian"])
@pytest.mark.parametrize("n", [1, 2, 40, 300])
@pytest.mark.parametrize("classes", [None, 3])
def test_matches_the_definition(device, method, n, classes):
    boxes, scores = random_boxes(n, dtype=torch.float64)
    idxs = None if classes is None else torch.arange(n) % classes - 1
    arguments = (method, 0.3, 0.5, 0.05)
    if idxs is None:
        keep, kept = soft_nms(boxes.to(device), scores.to(device), *arguments)
    else:
        keep, kept = batched_soft_nms(
            boxes.to(device), scores.to(device), idxs.to(device), *arguments
        )
    expected, expected_scores = oracle(boxes, scores, *arguments, idxs)
    assert keep.tolist() == expected
    torch.testing.assert_close(kept.cpu(), torch.tensor(expected_scores, dtype=torch.float64))


@pytest.mark.parametrize("method", ["linear", "gaussian"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes(device, method, dtype):
    boxes, scores = random_boxes(200, dtype=dtype)
    keep, kept = soft_nms(boxes.to(device), scores.to(device), method)
    assert keep.dtype == torch.int64 and kept.dtype == dtype and kept.device.type == device.type
    expected, expected_scores = oracle(boxes, scores, method, 0.3, 0.5, 1e-3)
    # Rounding may exchange neighbours and move a score across the threshold; no box's score moves.
    tolerance = 1e-5 if dtype in (torch.float32, torch.float64) else 8e-3
    got, want = (
        dict(zip(keep.tolist(), kept.double().tolist(), strict=True)),
        dict(zip(expected, expected_scores, strict=True)),
    )
    for i in got.keys() | want.keys():
        assert abs(got.get(i, 1e-3) - want.get(i, 1e-3)) < tolerance
    assert torch.all(kept.diff() <= 0)


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(
        st.tuples(*[st.integers(0, 6)] * 4, st.sampled_from([0.0, 0.25, 0.5, 1.0])), max_size=20
    ),
    method=st.sampled_from(["linear", "gaussian"]),
    iou_threshold=st.sampled_from([0.0, 0.2, 0.5]),
    score_threshold=st.sampled_from([0.0, 0.01, 0.3]),
)
def test_equal_scores_and_empty_boxes(rows, method, iou_threshold, score_threshold):
    table = torch.tensor(rows, dtype=torch.float64).reshape(-1, 5)
    boxes = torch.cat([table[:, :2], table[:, :2] + table[:, 2:4]], 1)
    arguments = (method, iou_threshold, 0.5, score_threshold)
    keep, kept = soft_nms(boxes, table[:, 4], *arguments)
    expected, expected_scores = oracle(boxes, table[:, 4], *arguments)
    assert keep.tolist() == expected
    torch.testing.assert_close(kept, torch.tensor(expected_scores, dtype=torch.float64))


def test_a_zero_sigma_limit_is_nms_without_overlap(device):
    boxes, scores = random_boxes(300)
    keep, kept = soft_nms(boxes.to(device), scores.to(device), "gaussian", sigma=1e-12)
    expected = nms(boxes, scores, 1e-5)
    expected = expected[scores[expected] >= 1e-3]
    assert torch.equal(keep.cpu(), expected)
    assert torch.equal(kept.cpu(), scores[expected])


def test_many_boxes_of_many_classes(device):
    boxes, scores = random_boxes(3000, extent=300.0)
    idxs = torch.randint(-5, 6, (3000,), generator=torch.Generator().manual_seed(1))
    keep, kept = batched_soft_nms(boxes.to(device), scores.to(device), idxs.to(device))
    found = dict(zip(keep.tolist(), kept.tolist(), strict=True))
    total = 0
    for c in idxs.unique():
        members = (idxs == c).nonzero().flatten()
        of_class, class_scores = soft_nms(boxes[members], scores[members])
        total += len(of_class)
        assert [found[i] for i in members[of_class].tolist()] == class_scores.tolist()
    assert len(keep) == total and torch.all(kept.diff() <= 0)


def test_nan_and_inf(device):
    boxes = torch.tensor(
        [[0.0, 0, 4, 4], [0, 0, NAN, 4], [0, 0, INF, 4], [0, 0, 4, 4], [4, 4, 0, 0], [9, 9, 9, 9]]
    )
    scores = torch.tensor([0.9, 0.8, 0.7, NAN, 0.6, 0.5])
    keep, kept = soft_nms(boxes.to(device), scores.to(device))
    assert keep.tolist() == [0, 1, 2, 4, 5]  # a NaN score is dropped; odd boxes are left alone
    assert torch.equal(kept.cpu(), scores[[0, 1, 2, 4, 5]])


def test_nothing(device):
    boxes, scores = torch.zeros(0, 4, device=device), torch.zeros(0, device=device)
    for keep, kept in (soft_nms(boxes, scores), batched_soft_nms(boxes, scores, scores.long())):
        assert keep.shape == kept.shape == (0,)
    keep, kept = soft_nms(torch.zeros(3, 4, device=device), torch.zeros(3, device=device))
    assert keep.shape == kept.shape == (0,)  # all below the threshold


def test_any_strides(device):
    boxes, scores = random_boxes(100)
    wide, spread = torch.full((100, 6), NAN), torch.zeros(200)
    wide[:, 1:5], spread[::2] = boxes, scores
    expected = soft_nms(boxes, scores)
    got = soft_nms(wide.to(device)[:, 1:5], spread.to(device)[::2])
    assert all(torch.equal(g.cpu(), e) for g, e in zip(got, expected, strict=True))


def test_deterministic(device):
    boxes, scores = (x.to(device) for x in random_boxes(1000))
    first = soft_nms(boxes, scores, "gaussian")
    for _ in range(3):
        assert all(
            torch.equal(a, b)
            for a, b in zip(soft_nms(boxes, scores, "gaussian"), first, strict=True)
        )


def test_no_gradient(device):
    boxes, scores = (x.to(device).requires_grad_() for x in random_boxes(10))
    _, kept = soft_nms(boxes, scores)
    assert not kept.requires_grad


def test_opcheck(device):
    boxes, scores = (x.to(device) for x in random_boxes(20))
    options = ("gaussian", 0.3, 0.5, 1e-3)
    opcheck(torch.ops.fastcv.soft_nms, (boxes, scores, *options))
    idxs = torch.arange(20, device=device) % 3
    opcheck(torch.ops.fastcv.batched_soft_nms, (boxes, scores, idxs, *options))


def test_compiles_whole(device):
    boxes, scores = (x.to(device) for x in random_boxes(40))

    def doubled(boxes, scores):
        keep, kept = soft_nms(boxes, scores)
        return keep * 2, kept * 2

    compiled = torch.compile(doubled, fullgraph=True, backend="aot_eager")
    for got, expected in zip(compiled(boxes, scores), doubled(boxes, scores), strict=True):
        assert torch.equal(got, expected)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"method": "hard"}, r"method must be 'linear' or 'gaussian', got 'hard'"),
        ({"iou_threshold": NAN}, r"iou_threshold must be a number, got nan"),
        ({"sigma": 0.0}, r"sigma must be above 0, got 0"),
        ({"sigma": NAN}, r"sigma must be above 0, got nan"),
        ({"score_threshold": -0.1}, r"score_threshold must be at least 0, got -0.1"),
        ({"score_threshold": NAN}, r"score_threshold must be at least 0, got nan"),
    ],
)
def test_refuses_options(device, options, message):
    boxes, scores = (x.to(device) for x in random_boxes(3))
    with pytest.raises(RuntimeError, match="soft_nms: " + message):
        soft_nms(boxes, scores, **options)
    with pytest.raises(RuntimeError, match="batched_soft_nms: " + message):
        batched_soft_nms(boxes, scores, torch.zeros(3, dtype=torch.int64, device=device), **options)


@pytest.mark.parametrize(
    "boxes, scores, message",
    [
        (torch.zeros(3, 5), torch.zeros(3), r"boxes must have shape \[N, 4\], got \[3, 5\]"),
        (torch.zeros(3, 4), torch.zeros(2), r"scores must have shape \[N\] with N = 3.*got \[2\]"),
        (torch.zeros(3, 4).int(), torch.zeros(3).int(), r"boxes must be float64.*got Int"),
        (torch.zeros(3, 4), torch.zeros(3).half(), r"scores must have the dtype of boxes"),
    ],
)
def test_refuses_tensors(device, boxes, scores, message):
    with pytest.raises(RuntimeError, match="soft_nms: " + message):
        soft_nms(boxes.to(device), scores.to(device))
    with pytest.raises(RuntimeError, match=r"batched_soft_nms: .*idxs must have shape"):
        batched_soft_nms(torch.zeros(3, 4), torch.zeros(3), torch.zeros(2, dtype=torch.int64))
