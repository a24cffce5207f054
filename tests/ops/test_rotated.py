"""box_iou_rotated, nms_rotated and batched_nms_rotated against polygon clipping in float64."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.library import opcheck

from fastcv.ops import batched_nms_rotated, box_iou_rotated, nms, nms_rotated

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
NAN, INF = float("nan"), float("inf")


def corners(box):
    cx, cy, w, h, degrees = box
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    local = ((-w / 2, -h / 2), (w / 2, -h / 2), (w / 2, h / 2), (-w / 2, h / 2))
    return [(cx + u * cos + v * sin, cy - u * sin + v * cos) for u, v in local]


def clipped(polygon, clip):
    """Sutherland and Hodgman: what of a polygon lies inside a convex one."""
    for (ax, ay), (bx, by) in zip(clip, clip[1:] + clip[:1], strict=True):
        side = [(bx - ax) * (y - ay) - (by - ay) * (x - ax) for x, y in polygon]
        out = []
        for i, (x, y) in enumerate(polygon):
            j = (i + 1) % len(polygon)
            if side[i] >= 0:
                out.append((x, y))
            if (side[i] >= 0) != (side[j] >= 0):
                t = side[i] / (side[i] - side[j])
                out.append((x + t * (polygon[j][0] - x), y + t * (polygon[j][1] - y)))
        polygon = out
    return polygon


def polygon_area(p):
    return (
        abs(sum(a[0] * b[1] - a[1] * b[0] for a, b in zip(p, p[1:] + p[:1], strict=True))) / 2
        if p
        else 0.0
    )


def oracle_iou(a, b):
    inter = polygon_area(clipped(corners(a), corners(b)))
    return inter / (a[2] * a[3] + b[2] * b[3] - inter)


def oracle_matrix(boxes1, boxes2):
    rows = [[oracle_iou(a, b) for b in boxes2.double().tolist()] for a in boxes1.double().tolist()]
    return torch.tensor(rows, dtype=torch.float64).reshape(len(boxes1), len(boxes2))


def random_boxes(n, extent=100.0, dtype=torch.float32, seed=0):
    g = torch.Generator().manual_seed(seed)
    r = torch.rand(n, 5, generator=g)
    boxes = torch.cat([r[:, :2] * extent, 5 + r[:, 2:4] * 60, (r[:, 4:] - 0.5) * 720], 1)
    boxes[::5, 4] = (boxes[::5, 4] / 90).round() * 90
    return boxes.to(dtype), torch.rand(n, generator=g).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_iou_matches_polygon_clipping(device, dtype):
    boxes1, boxes2 = random_boxes(50, dtype=dtype)[0], random_boxes(61, dtype=dtype, seed=1)[0]
    expected = oracle_matrix(boxes1, boxes2)
    got = box_iou_rotated(boxes1.to(device), boxes2.to(device))
    assert got.dtype == dtype and got.shape == (50, 61) and got.device.type == device.type
    error = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 1e-3, torch.bfloat16: 4e-3}
    torch.testing.assert_close(got.cpu().double(), expected, rtol=0, atol=error[dtype])
    assert torch.equal(got.cpu() > 0, expected > 0) or dtype != torch.float64


def test_iou_is_the_share_of_random_points():
    g = torch.Generator().manual_seed(5)
    boxes, _ = random_boxes(12, extent=40.0, dtype=torch.float64)
    points = torch.rand(200_000, 2, generator=g, dtype=torch.float64) * 160 - 60
    dx, dy = points[:, 0, None] - boxes[:, 0], points[:, 1, None] - boxes[:, 1]
    cos, sin = boxes[:, 4].deg2rad().cos(), boxes[:, 4].deg2rad().sin()
    u, v = dx * cos - dy * sin, dx * sin + dy * cos
    inside = (u.abs() <= boxes[:, 2] / 2) & (v.abs() <= boxes[:, 3] / 2)
    both = (inside[:, :, None] & inside[:, None, :]).sum(0)
    either = (inside[:, :, None] | inside[:, None, :]).sum(0)
    torch.testing.assert_close(
        box_iou_rotated(boxes, boxes), both / either, rtol=0, atol=0.02, check_dtype=False
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_iou_is_symmetric_and_one_with_itself(device, dtype):
    boxes = random_boxes(80, dtype=dtype)[0].to(device)
    m = box_iou_rotated(boxes, boxes)
    assert torch.equal(m, m.T)
    assert torch.all(m.diagonal() == 1)
    assert torch.all((m >= 0) & (m <= 1))


def test_upright_boxes_agree_with_box_iou(device):
    boxes, _ = random_boxes(60, dtype=torch.float64)
    boxes[:, 4] = 0
    xyxy = torch.cat([boxes[:, :2] - boxes[:, 2:4] / 2, boxes[:, :2] + boxes[:, 2:4] / 2], 1)
    lt, rb = (
        torch.maximum(xyxy[:, None, :2], xyxy[:, :2]),
        torch.minimum(xyxy[:, None, 2:], xyxy[:, 2:]),
    )
    inter = (rb - lt).clamp(min=0).prod(2)
    area = boxes[:, 2] * boxes[:, 3]
    expected = inter / (area[:, None] + area - inter)
    torch.testing.assert_close(box_iou_rotated(boxes.to(device), boxes.to(device)).cpu(), expected)


def test_positive_angles_turn_counter_clockwise_on_the_screen():
    # A long box turned by 45 degrees rises to the right: towards larger x and smaller y.
    long = torch.tensor([[0.0, 0.0, 10.0, 1.0, 45.0]])
    ends = torch.tensor([[3.0, -3.0, 1.0, 1.0, 0.0], [3.0, 3.0, 1.0, 1.0, 0.0]])
    iou = box_iou_rotated(long, ends)[0]
    assert iou[0] > 0.05 and iou[1] == 0


def test_turns_and_swapped_sides(device):
    a = torch.tensor([[3.0, 4.0, 6.0, 2.0, 30.0]], device=device)
    same = torch.tensor(
        [[3.0, 4, 6, 2, 210], [3, 4, 6, 2, -330], [3, 4, 2, 6, 120], [3, 4, 6, 2, 360030]],
        device=device,
    )
    torch.testing.assert_close(box_iou_rotated(a, same), torch.ones(1, 4, device=device))


def test_touching_and_separate_boxes_share_nothing(device):
    a = torch.tensor([[0.0, 0, 2, 2, 0]], device=device)
    b = torch.tensor(
        [[2.0, 0, 2, 2, 0], [0, -2, 2, 2, 90], [3, 0, 2, 2, 45], [1.9, 1.9, 2, 2, 45]],
        device=device,
    )
    assert torch.equal(box_iou_rotated(a, b), torch.zeros(1, 4, device=device))


ODD = [
    [0.0, 0, 0, 4, 0], [0, 0, 4, 0, 10], [0, 0, -2, 2, 0], [NAN, 0, 2, 2, 0], [0, INF, 2, 2, 0],
    [0, 0, INF, 2, 0], [0, 0, 2, NAN, 0], [0, 0, 2, 2, INF],
    [0, 0, 1e30, 1e30, 3], [0, 0, 1e-30, 1e-30, 3],
]  # fmt: skip


def test_degenerate_boxes_overlap_nothing(device):
    odd = torch.tensor(ODD, device=device)
    boxes = torch.cat([torch.tensor([[0.0, 0.0, 2.0, 2.0, 20.0]], device=device), odd])
    m = box_iou_rotated(boxes, boxes)
    assert m[0, 0] == 1 and m.sum() == 1
    scores = torch.linspace(1, 0, len(boxes), device=device)
    assert nms_rotated(boxes, scores, 0.0).tolist() == list(range(len(boxes)))


@settings(max_examples=200, deadline=None)
@given(
    boxes=st.lists(
        st.tuples(
            st.integers(-4, 4), st.integers(-4, 4), st.sampled_from([0.5, 1, 2, 4, 100]),
            st.sampled_from([0.5, 1, 2, 4, 100]),
            st.sampled_from([0, 45, 90, -90, 180, 30, 1e-3, 89.999]),
        ),
        min_size=2, max_size=8,
    )
)  # fmt: skip
def test_shared_edges_and_corners(boxes):
    boxes = torch.tensor(boxes, dtype=torch.float64)
    torch.testing.assert_close(
        box_iou_rotated(boxes, boxes), oracle_matrix(boxes, boxes), rtol=0, atol=1e-9
    )
    single = box_iou_rotated(boxes.float(), boxes.float()).double()
    torch.testing.assert_close(
        single, oracle_matrix(boxes.float(), boxes.float()), rtol=0, atol=5e-5
    )


def greedy(boxes, scores, threshold, idxs=None):
    m = oracle_matrix(boxes, boxes)
    keep: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i].item(), i)):
        rivals = [k for k in keep if idxs is None or idxs[k] == idxs[i]]
        if all(m[k, i] <= threshold for k in rivals):
            keep.append(i)
    return keep


@pytest.mark.parametrize("n", [1, 2, 40, 150])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.7])
def test_nms_matches_the_definition(device, n, threshold):
    boxes, scores = random_boxes(n, dtype=torch.float64)
    scores = (scores * 20).floor() / 20
    assert nms_rotated(boxes.to(device), scores.to(device), threshold).tolist() == greedy(
        boxes, scores, threshold
    )
    idxs = torch.arange(n) % 3 - 1
    keep = batched_nms_rotated(boxes.to(device), scores.to(device), idxs.to(device), threshold)
    assert keep.tolist() == greedy(boxes, scores, threshold, idxs)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nms_is_greedy_on_its_own_iou(device, dtype):
    boxes, scores = (x.to(device) for x in random_boxes(300, dtype=dtype))
    compute = boxes if dtype == torch.float64 else boxes.float()
    above = (box_iou_rotated(compute, compute) > 0.4).tolist()
    expected: list[int] = []
    for i in scores.sort(descending=True, stable=True)[1].tolist():
        if not any(above[k][i] for k in expected):
            expected.append(i)
    assert nms_rotated(boxes, scores, 0.4).tolist() == expected


def test_nms_of_upright_boxes_is_nms(device):
    boxes, scores = random_boxes(2000, extent=400.0, dtype=torch.float64)
    boxes = boxes.round()
    boxes[:, 2:4] *= 2
    boxes[:, 4] = 0
    xyxy = torch.cat([boxes[:, :2] - boxes[:, 2:4] / 2, boxes[:, :2] + boxes[:, 2:4] / 2], 1)
    expected = nms(xyxy, scores, 0.4321)
    assert torch.equal(nms_rotated(boxes.to(device), scores.to(device), 0.4321).cpu(), expected)


def test_nan_scores_come_first(device):
    boxes = torch.tensor([[0.0, 0, 2, 2, 0]] * 3, device=device)
    scores = torch.tensor([0.5, NAN, INF], device=device)
    assert nms_rotated(boxes, scores, 0.5).tolist() == [1]


def test_nothing(device):
    none = torch.zeros(0, 5, device=device)
    some = torch.ones(3, 5, device=device)
    assert box_iou_rotated(none, some).shape == (0, 3)
    assert box_iou_rotated(some, none).shape == (3, 0)
    assert nms_rotated(none, none[:, 0], 0.5).shape == (0,)
    assert batched_nms_rotated(none, none[:, 0], none[:, 0].long(), 0.5).shape == (0,)


def test_any_strides(device):
    boxes, scores = random_boxes(70)
    wide = torch.full((70, 7), NAN)
    wide[:, 1:6] = boxes
    view = wide.to(device)[:, 1:6]
    assert torch.equal(
        box_iou_rotated(view, view[::2]).cpu(), box_iou_rotated(boxes, boxes[::2].contiguous())
    )
    assert torch.equal(
        nms_rotated(view, scores.to(device), 0.3).cpu(), nms_rotated(boxes, scores, 0.3)
    )


def test_threads_agree():
    boxes, scores = random_boxes(700)
    threads = torch.get_num_threads()
    results = []
    for t in (1, 2):
        torch.set_num_threads(t)
        idxs = torch.arange(700) % 5
        results.append(
            (box_iou_rotated(boxes, boxes), batched_nms_rotated(boxes, scores, idxs, 0.3))
        )
    torch.set_num_threads(threads)
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_no_gradient(device):
    boxes = random_boxes(3)[0].to(device).requires_grad_()
    assert not box_iou_rotated(boxes, boxes).requires_grad


def test_opcheck(device):
    boxes, scores = (x.to(device) for x in random_boxes(20))
    opcheck(torch.ops.fastcv.box_iou_rotated, (boxes, boxes[:7]))
    opcheck(torch.ops.fastcv.nms_rotated, (boxes, scores, 0.5))
    idxs = torch.arange(20, device=device) % 3
    opcheck(torch.ops.fastcv.batched_nms_rotated, (boxes, scores, idxs, 0.5))


def test_compiles_whole(device):
    boxes, scores = (x.to(device) for x in random_boxes(40))

    def both(boxes, scores):
        return box_iou_rotated(boxes, boxes[:3]) * 2, nms_rotated(boxes, scores, 0.5) * 2

    compiled = torch.compile(both, fullgraph=True, backend="aot_eager")
    for got, expected in zip(compiled(boxes, scores), both(boxes, scores), strict=True):
        assert torch.equal(got, expected)


FIVE, SCORES = torch.ones(3, 5), torch.ones(3)


@pytest.mark.parametrize(
    "boxes1, boxes2, message",
    [
        (torch.ones(3, 4), FIVE, r"boxes1 must have shape \[N, 5\], got \[3, 4\]"),
        (FIVE, torch.ones(5), r"boxes2 must have shape \[M, 5\], got \[5\]"),
        (FIVE.long(), FIVE.long(), r"boxes1 must be float64, float32.*got Long"),
        (FIVE, FIVE.double(), r"boxes2 must have the dtype of boxes1, Float, got Double"),
    ],
)
def test_iou_refuses(device, boxes1, boxes2, message):
    with pytest.raises(RuntimeError, match="box_iou_rotated: " + message):
        box_iou_rotated(boxes1.to(device), boxes2.to(device))


@pytest.mark.parametrize(
    "boxes, scores, threshold, message",
    [
        (torch.ones(3, 4), SCORES, 0.5, r"boxes must have shape \[N, 5\], got \[3, 4\]"),
        (
            FIVE,
            torch.ones(2),
            0.5,
            r"scores must have shape \[N\] with N = 3 as in boxes, got \[2\]",
        ),
        (FIVE.int(), SCORES.int(), 0.5, r"boxes must be float64.*got Int"),
        (FIVE, SCORES.half(), 0.5, r"scores must have the dtype of boxes, Float, got Half"),
        (FIVE, SCORES, NAN, r"iou_threshold must be at least 0, got nan"),
        (FIVE, SCORES, -0.1, r"iou_threshold must be at least 0, got -0.1"),
    ],
)
def test_nms_refuses(device, boxes, scores, threshold, message):
    boxes, scores = boxes.to(device), scores.to(device)
    with pytest.raises(RuntimeError, match="nms_rotated: " + message):
        nms_rotated(boxes, scores, threshold)
    idxs = torch.zeros(len(boxes), dtype=torch.int64, device=device)
    with pytest.raises(RuntimeError, match="batched_nms_rotated: " + message):
        batched_nms_rotated(boxes, scores, idxs, threshold)
    with pytest.raises(RuntimeError, match=r"batched_nms_rotated: idxs must have an integer dtype"):
        batched_nms_rotated(FIVE.to(device), SCORES.to(device), SCORES.to(device).cfloat(), 0.5)
