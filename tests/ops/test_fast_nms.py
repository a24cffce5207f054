"""fast_nms against its definition, box by box."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch.library import opcheck

from fastcv.ops import fast_nms, nms

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
NAN, INF = float("nan"), float("inf")


def iou(a, b):
    """In the boxes' scalar type."""
    zero = a.dtype.type(0)
    w = max(zero, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(zero, min(a[3], b[3]) - max(a[1], b[1]))
    inter = w * h
    return inter / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter)


def oracle(boxes, scores, threshold, top_k):
    scalar = np.float64 if boxes.dtype == torch.float64 else np.float32
    rows = boxes.cpu().double().numpy().astype(scalar)
    found = []
    for label, values in enumerate(scores.cpu().double().tolist()):
        rank = [(-INF if math.isnan(v) else -v, i) for i, v in enumerate(values)]
        best = [i for _, i in sorted(rank)][:top_k]
        with np.errstate(all="ignore"):
            for j, i in enumerate(best):
                if not any(float(iou(rows[k], rows[i])) > threshold for k in best[:j]):
                    found.append((rank[i][0], label, j, i))
    found.sort()
    return [i for *_, i in found], [label for _, label, *_ in found]


def random_boxes(n, classes=4, dtype=torch.float32, extent=100.0):
    g = torch.Generator().manual_seed(n)
    corner = torch.rand(n, 2, generator=g) * extent
    boxes = torch.cat([corner, corner + 5 + 30 * torch.rand(n, 2, generator=g)], 1)
    scores = (torch.rand(classes, n, generator=g) * 50).round() / 50  # with ties
    return boxes.to(dtype), scores.to(dtype)


def check(device, boxes, scores, threshold, top_k):
    keep, labels = fast_nms(boxes.to(device), scores.to(device), threshold, top_k)
    assert keep.dtype == labels.dtype == torch.int64
    assert keep.device.type == labels.device.type == device.type
    assert (keep.tolist(), labels.tolist()) == oracle(boxes, scores, threshold, top_k)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("n", "top_k"), [(1, 1), (2, 5), (33, 20), (90, 64), (90, 200)])
@pytest.mark.parametrize("threshold", [0.0, 0.5, -0.5, 1.0])
def test_by_the_definition(device, dtype, n, top_k, threshold):
    check(device, *random_boxes(n, dtype=dtype), threshold, top_k)


def test_more_boxes_than_a_blocks_threads(device):
    check(device, *random_boxes(300, classes=1, extent=600.0), 0.3, 280)


def test_a_chain(device):
    """Each box overlaps the one before it: nms keeps every second, fast_nms the first."""
    boxes = torch.tensor([[3.0 * i, 0.0, 3.0 * i + 10, 10.0] for i in range(9)])
    scores = torch.arange(9.0, 0.0, -1)
    assert nms(boxes, scores, 0.5).tolist() == [0, 2, 4, 6, 8]
    assert fast_nms(boxes.to(device), scores[None].to(device), 0.5)[0].tolist() == [0]


def test_keeps_no_more_than_nms():
    boxes, scores = random_boxes(300)
    keep, labels = fast_nms(boxes, scores, 0.5, 300)
    for label in range(4):
        fast = set(keep[labels == label].tolist())
        assert fast and fast < set(nms(boxes, scores[label], 0.5).tolist())


def test_odd_values(device):
    boxes, scores = random_boxes(60)
    boxes[::7], boxes[1::9, 2], boxes[2::11] = NAN, INF, boxes[2::11][:, [2, 3, 0, 1]]
    scores[0, ::5], scores[1], scores[2, 3], scores[3, ::2] = NAN, 0.5, INF, -INF
    keep, labels = fast_nms(boxes.to(device), scores.to(device), 0.3, 40)
    assert len(keep) == len(labels) and scores.shape == (4, 60)
    by_score = [(-INF if math.isnan(s) else -s) for s in scores[labels.cpu(), keep.cpu()].tolist()]
    assert by_score == sorted(by_score)
    # A box without an area overlaps none: it stays, if it is among the 40 best.
    best = scores[1].argsort(descending=True, stable=True)[:40]
    odd = [i for i in best.tolist() if not boxes[i].isfinite().all()]
    assert odd and set(odd) <= set(keep.cpu()[labels.cpu() == 1].tolist())


def test_none(device):
    for n, classes in ((0, 3), (3, 0), (0, 0)):
        boxes, scores = torch.rand(n, 4, device=device), torch.rand(classes, n, device=device)
        keep, labels = fast_nms(boxes, scores)
        assert keep.shape == labels.shape == (0,) and keep.dtype == torch.int64


def test_any_strides(device):
    boxes, scores = random_boxes(70)
    expected = [t.tolist() for t in fast_nms(boxes, scores)]
    wide = torch.full((70, 6), NAN)
    wide[:, 1:5] = boxes
    turned = scores.t().contiguous().t()
    got = fast_nms(wide.to(device)[:, 1:5], turned.to(device))
    assert [t.tolist() for t in got] == expected


def test_threads_agree():
    boxes, scores = random_boxes(200, classes=7)
    before, results = torch.get_num_threads(), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append([t.tolist() for t in fast_nms(boxes, scores)])
    torch.set_num_threads(before)
    assert results[0] == results[1] == results[2]


ISA_PROGRAM = """
import torch
from fastcv.ops import fast_nms
g = torch.Generator().manual_seed(0)
low = torch.rand(300, 2, generator=g) * 200
boxes = torch.cat([low, low + 40 * torch.rand(300, 2, generator=g)], 1)
for dtype in (torch.float64, torch.float32):
    keep, labels = fast_nms(boxes.to(dtype), torch.rand(5, 300, generator=g).to(dtype), 0.3)
    print(keep.tolist(), labels.tolist())
"""


def test_every_instruction_set():
    printed = {
        subprocess.run(
            [sys.executable, "-c", ISA_PROGRAM],
            check=True,
            capture_output=True,
            env={**os.environ, "FASTCV_ISA": isa},
        ).stdout
        for isa in ("portable", "avx2", "avx512")
    }
    assert len(printed) == 1 and len(printed.pop()) > 1000


def test_mixed_dtypes_under_autocast(device):
    boxes, scores = (x.to(device) for x in random_boxes(40))
    with torch.autocast(device.type, torch.bfloat16):
        keep, labels = fast_nms(boxes, scores.bfloat16(), 0.5)
    expected = fast_nms(boxes, scores.bfloat16().float(), 0.5)
    assert torch.equal(keep, expected[0]) and torch.equal(labels, expected[1])


def test_opcheck(device):
    boxes, scores = (x.to(device) for x in random_boxes(20))
    opcheck(torch.ops.fastcv.fast_nms, (boxes, scores, 0.5, 10))


def test_compiles_whole(device):
    boxes, scores = (x.to(device) for x in random_boxes(40))
    compiled = torch.compile(
        lambda b, s: fast_nms(b, s, 0.5, 20)[1] * 2, fullgraph=True, backend="aot_eager"
    )
    assert torch.equal(compiled(boxes, scores), fast_nms(boxes, scores, 0.5, 20)[1] * 2)


BOXES, SCORES = torch.zeros(3, 4), torch.zeros(2, 3)


@pytest.mark.parametrize(
    ("boxes", "scores", "threshold", "top_k", "message"),
    [
        (torch.zeros(3, 5), SCORES, 0.5, 9, r"boxes must have shape \[N, 4\], got \[3, 5\]"),
        (torch.zeros(4), SCORES, 0.5, 9, r"boxes must have shape \[N, 4\], got \[4\]"),
        (BOXES.long(), SCORES.long(), 0.5, 9, "boxes must be float64, float32.*got Long"),
        (BOXES, torch.zeros(3), 0.5, 9, r"scores must have shape \[C, N\] with N = 3.*got \[3\]"),
        (BOXES, torch.zeros(3, 2), 0.5, 9, r"scores must have shape .*N = 3.*got \[3, 2\]"),
        (BOXES, SCORES.double(), 0.5, 9, "scores must have the dtype of boxes, Float, got Double"),
        (BOXES, SCORES, NAN, 9, "iou_threshold must be a number, got nan"),
        (BOXES, SCORES, 0.5, 0, "top_k must be at least 1, got 0"),
    ],
)
def test_refuses(device, boxes, scores, threshold, top_k, message):
    with pytest.raises(RuntimeError, match="fast_nms: " + message):
        fast_nms(boxes.to(device), scores.to(device), threshold, top_k)


def test_refuses_shapes_under_compile():
    compiled = torch.compile(lambda b, s: fast_nms(b, s), backend="aot_eager")
    with pytest.raises(Exception, match=r"boxes must have shape \[N, 4\]"):
        compiled(torch.zeros(5, 3), torch.zeros(2, 5))


@pytest.mark.cuda
def test_refuses_mixed_devices():
    with pytest.raises(RuntimeError, match="boxes and scores must be on the same device"):
        fast_nms(BOXES.cuda(), SCORES)
