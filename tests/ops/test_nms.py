"""nms and batched_nms against a plain loop over scalars."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.library import opcheck

from fastcv.ops import batched_nms, nms

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
NAN, INF = float("nan"), float("inf")


def std_max(a, b):
    return b if a < b else a


def std_min(a, b):
    return b if b < a else a


def oracle(boxes, scores, threshold, idxs=None):
    """The definition, box by box, in scalars of the type that the op computes in."""
    scalar = np.float64 if boxes.dtype == torch.float64 else np.float32
    rows = boxes.cpu().to(torch.float64).numpy().astype(scalar)
    values = scores.cpu().double().tolist()
    classes = [0] * len(values) if idxs is None else idxs.tolist()
    order = sorted(
        range(len(values)),
        key=lambda i: (not math.isnan(values[i]), 0 if math.isnan(values[i]) else -values[i], i),
    )
    keep: list[int] = []
    with np.errstate(all="ignore"):
        for i in order:
            x1, y1, x2, y2 = rows[i]
            suppressed = False
            for k in keep:
                if classes[k] != classes[i]:
                    continue
                kx1, ky1, kx2, ky2 = rows[k]
                w = std_max(scalar(0), std_min(kx2, x2) - std_max(kx1, x1))
                h = std_max(scalar(0), std_min(ky2, y2) - std_max(ky1, y1))
                inter = w * h
                union = (kx2 - kx1) * (ky2 - ky1) + (x2 - x1) * (y2 - y1) - inter
                suppressed |= bool(float(inter / union) > threshold)
            if not suppressed:
                keep.append(i)
    return torch.tensor(keep, dtype=torch.int64)


def random_boxes(n, extent=100.0, dtype=torch.float32, seed=0):
    g = torch.Generator().manual_seed(seed)
    corner = torch.rand(n, 2, generator=g) * extent
    boxes = torch.cat([corner, corner + 5 + 30 * torch.rand(n, 2, generator=g)], 1)
    return boxes.to(dtype), torch.rand(n, generator=g).to(dtype)


def check(device, boxes, scores, threshold, idxs=None):
    if idxs is None:
        keep = nms(boxes.to(device), scores.to(device), threshold)
    else:
        keep = batched_nms(boxes.to(device), scores.to(device), idxs.to(device), threshold)
    assert keep.dtype == torch.int64 and keep.device.type == device.type
    assert keep.tolist() == oracle(boxes, scores, threshold, idxs).tolist()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 33, 130])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7, 1.0, -0.5, INF, -INF])
def test_matches_the_definition(device, dtype, n, threshold):
    boxes, scores = random_boxes(n, dtype=dtype)
    check(device, boxes, scores, threshold)
    check(device, boxes, scores, threshold, torch.arange(n) % 3 - 1)


coordinates = st.sampled_from(
    [0.0, -0.0, 1.0, 2.0, 3.0, 5.0, 8.0, -4.0, 1e30, -1e30, 1e-30, INF, -INF, NAN]
)
values = st.sampled_from([0.0, -0.0, 0.5, 1.0, -1.0, 0.25, INF, -INF, NAN])


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(*[coordinates] * 4, values, st.integers(-2, 1)), max_size=24),
    threshold=st.sampled_from([-1.0, 0.0, 0.2, 0.5, 1.0 / 3.0, 1.0, 2.0]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_any_values(rows, threshold, dtype):
    table = torch.tensor([r[:5] for r in rows], dtype=dtype).reshape(-1, 5)
    idxs = torch.tensor([r[5] for r in rows], dtype=torch.int64)
    check(torch.device("cpu"), table[:, :4], table[:, 4], threshold)
    check(torch.device("cpu"), table[:, :4], table[:, 4], threshold, idxs)


@pytest.mark.parametrize("isa", ["portable", "avx2", "avx512"])
def test_every_instruction_set(isa):
    script = (
        "import torch; from fastcv.ops import nms; g = torch.Generator().manual_seed(0)\n"
        "c = torch.rand(700, 2, generator=g) * 200; w = torch.rand(700, 2, generator=g) * 40\n"
        "s = torch.rand(700, generator=g)\n"
        "for t in (0.5, 0.0, -1.0): print(nms(torch.cat([c, c + w], 1), s, t).tolist())"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "FASTCV_ISA": isa},
        capture_output=True,
        text=True,
        check=True,
    )
    g = torch.Generator().manual_seed(0)
    c, w = torch.rand(700, 2, generator=g) * 200, torch.rand(700, 2, generator=g) * 40
    s = torch.rand(700, generator=g)
    lines = [oracle(torch.cat([c, c + w], 1), s, t).tolist() for t in (0.5, 0.0, -1.0)]
    assert run.stdout.splitlines() == [str(line) for line in lines]


@pytest.mark.parametrize("n", [300, 1500, 5000])
def test_batched_is_nms_of_each_class(device, n):
    boxes, scores = random_boxes(n, extent=300.0)
    scores = (scores * 50).floor() / 50  # many equal scores
    idxs = torch.randint(-3, 4, (n,), generator=torch.Generator().manual_seed(3)) * 2**60
    keep = batched_nms(boxes.to(device), scores.to(device), idxs.to(device), 0.4).cpu()
    kept = torch.zeros(n, dtype=torch.bool)
    for c in idxs.unique():
        members = (idxs == c).nonzero().flatten()
        kept[members[nms(boxes[members], scores[members], 0.4)]] = True
    expected = kept.nonzero().flatten()
    expected = expected[scores[expected].sort(descending=True, stable=True)[1]]
    assert torch.equal(keep, expected)


def test_batched_loses_no_precision(device):
    # Shifting class c by c * (largest coordinate + 1) would round these boxes onto each other.
    boxes = torch.tensor(
        [[0.0, 0.0, 1.0, 1.0], [0.9, 0.9, 2.0, 2.0], [0.0, 0.0, 1e6, 1e6]], device=device
    )
    scores = torch.tensor([0.9, 0.8, 0.7], device=device)
    idxs = torch.tensor([1000, 1000, 0], device=device)
    assert batched_nms(boxes, scores, idxs, 0.1).tolist() == [0, 1, 2]


@pytest.mark.parametrize("dtype", [torch.int32, torch.int16, torch.uint8, torch.bool])
def test_integer_class_dtypes(device, dtype):
    boxes = torch.tensor([[0.0, 0.0, 4.0, 4.0]] * 3, device=device)
    scores = torch.tensor([0.1, 0.2, 0.3], device=device)
    idxs = torch.tensor([1, 0, 1], device=device).to(dtype)
    assert batched_nms(boxes, scores, idxs, 0.5).tolist() == [2, 1]


def test_nothing(device):
    boxes, scores = torch.zeros(0, 4, device=device), torch.zeros(0, device=device)
    assert nms(boxes, scores, 0.5).shape == (0,)
    assert batched_nms(
        boxes, scores, torch.zeros(0, dtype=torch.int64, device=device), 0.5
    ).shape == (0,)


def test_any_strides(device):
    boxes, scores = random_boxes(900)
    wide = torch.full((900, 6), NAN)
    wide[:, 1:5] = boxes
    spread = torch.zeros(1800)
    spread[::2] = scores
    expected = nms(boxes, scores, 0.4)
    for b in (wide[:, 1:5], boxes.t().contiguous().t(), boxes.repeat_interleave(2, 0)[::2]):
        assert torch.equal(nms(b.to(device), spread[::2].to(device), 0.4).cpu(), expected)
    one = boxes[:1].expand(5, 4)
    assert nms(one.to(device), scores[:1].expand(5).to(device), 0.4).tolist() == [0]


def test_large_sets_in_linear_memory(device):
    # An n x n mask of these would take 20 GB as bits.
    n = 400_000
    boxes, scores = random_boxes(n, extent=40_000.0)
    keep = nms(boxes.to(device), scores.to(device), 0.5).cpu()
    assert torch.all(scores[keep].diff() <= 0) and len(keep.unique()) == len(keep)
    assert 0.9 * n < len(keep) < n
    assert torch.equal(
        nms(boxes[keep].to(device), scores[keep].to(device), 0.5).cpu(), torch.arange(len(keep))
    )


def test_deterministic(device):
    boxes, scores = random_boxes(5000, extent=300.0)
    boxes, scores = boxes.to(device), scores.to(device)
    first = nms(boxes, scores, 0.5)
    assert all(torch.equal(nms(boxes, scores, 0.5), first) for _ in range(3))


def test_threads_agree():
    boxes, scores = random_boxes(4000, extent=300.0)
    idxs = torch.arange(4000) % 11
    threads = torch.get_num_threads()
    results = []
    for t in (1, 2, 3):
        torch.set_num_threads(t)
        results.append(batched_nms(boxes, scores, idxs, 0.5))
    torch.set_num_threads(threads)
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


def test_opcheck(device):
    boxes, scores = (x.to(device) for x in random_boxes(20))
    opcheck(torch.ops.fastcv.nms, (boxes, scores, 0.5))
    opcheck(torch.ops.fastcv.batched_nms, (boxes, scores, torch.arange(20, device=device) % 3, 0.5))


def test_compiles_whole(device):
    boxes, scores = (x.to(device) for x in random_boxes(40))
    idxs = torch.arange(40, device=device) % 3

    def both(boxes, scores, idxs):
        return nms(boxes, scores, 0.5) * 2, batched_nms(boxes, scores, idxs, 0.5)

    compiled = torch.compile(both, fullgraph=True, backend="aot_eager")
    for got, expected in zip(compiled(boxes, scores, idxs), both(boxes, scores, idxs), strict=True):
        assert torch.equal(got, expected)


BOXES, SCORES = torch.zeros(3, 4), torch.zeros(3)


@pytest.mark.parametrize(
    "boxes, scores, threshold, message",
    [
        (torch.zeros(5, 3), torch.zeros(5), 0.5, r"boxes must have shape \[N, 4\], got \[5, 3\]"),
        (torch.zeros(4), SCORES, 0.5, r"boxes must have shape \[N, 4\], got \[4\]"),
        (torch.zeros(1, 3, 4), SCORES, 0.5, r"boxes must have shape \[N, 4\], got \[1, 3, 4\]"),
        (
            BOXES,
            torch.zeros(4),
            0.5,
            r"scores must have shape \[N\] with N = 3 as in boxes, got \[4\]",
        ),
        (BOXES, torch.zeros(3, 1), 0.5, r"scores must have shape \[N\] with N = 3.*got \[3, 1\]"),
        (BOXES.long(), SCORES.long(), 0.5, r"boxes must be float64, float32.*got Long"),
        (BOXES, SCORES.double(), 0.5, r"scores must have the dtype of boxes, Float, got Double"),
        (BOXES, SCORES, NAN, r"iou_threshold must be a number, got nan"),
    ],
)
def test_refuses(device, boxes, scores, threshold, message):
    boxes, scores = boxes.to(device), scores.to(device)
    with pytest.raises(RuntimeError, match="nms: " + message):
        nms(boxes, scores, threshold)
    idxs = torch.zeros(len(boxes), dtype=torch.int64, device=device)
    with pytest.raises(RuntimeError, match="batched_nms: " + message):
        batched_nms(boxes, scores, idxs, threshold)


@pytest.mark.parametrize(
    "idxs, message",
    [
        (torch.zeros(4, dtype=torch.int64), r"idxs must have shape \[N\] with N = 3.*got \[4\]"),
        (torch.zeros(3).cfloat(), r"idxs must have an integer dtype, got ComplexFloat"),
    ],
)
def test_refuses_classes(device, idxs, message):
    with pytest.raises(RuntimeError, match="batched_nms: " + message):
        batched_nms(BOXES.to(device), SCORES.to(device), idxs.to(device), 0.5)


def test_refuses_shapes_under_compile():
    compiled = torch.compile(lambda b, s: nms(b, s, 0.5), backend="aot_eager")
    with pytest.raises(Exception, match=r"boxes must have shape \[N, 4\]"):
        compiled(torch.zeros(5, 3), torch.zeros(5))


@pytest.mark.cuda
def test_refuses_mixed_devices():
    with pytest.raises(RuntimeError, match="boxes and scores must be on the same device"):
        nms(BOXES.cuda(), SCORES, 0.5)
