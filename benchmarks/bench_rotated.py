"""Rotated overlap and NMS against vectorised torch: the same integrals over whole matrices."""

import pytest
import torch

import fastcv.ops as ops


def rotated_boxes(n, seed=0):
    g = torch.Generator().manual_seed(seed)
    r = torch.rand(n, 6, generator=g)
    centre = r[:, :2] * torch.tensor([1333.0, 800.0])
    return torch.cat([centre, (3 + 4 * r[:, 2:4]).exp2(), r[:, 4:5] * 180], 1), r[:, 5].contiguous()


def torch_iou(a, b):
    """Clips every edge of b to a's rectangle and sums the clamped area below it."""
    angle_a, angle_b = a[:, None, 4].deg2rad(), b[None, :, 4].deg2rad()
    d = b[None, :, :2] - a[:, None, :2]
    u = d[..., 0] * angle_a.cos() - d[..., 1] * angle_a.sin()
    v = d[..., 0] * angle_a.sin() + d[..., 1] * angle_a.cos()
    cos, sin = (angle_b - angle_a).cos(), (angle_b - angle_a).sin()
    aw, ah = a[:, None, 2] / 2, a[:, None, 3] / 2
    bw, bh = b[None, :, 2] / 2, b[None, :, 3] / 2
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    xs = [u + s * bw * cos + t * bh * sin for s, t in signs]
    ys = [v - s * bw * sin + t * bh * cos for s, t in signs]
    total = torch.zeros_like(u)
    for i in range(4):
        x0, y0, x1, y1 = xs[i], ys[i], xs[(i + 1) % 4], ys[(i + 1) % 4]
        xa, xb = x0.maximum(-aw).minimum(aw), x1.maximum(-aw).minimum(aw)
        slope = torch.where(x1 == x0, 0, (y1 - y0) / (x1 - x0))
        ya, yb = y0 + (xa - x0) * slope, y1 + (xb - x1) * slope
        ca, cb = ya.maximum(-ah).minimum(ah), yb.maximum(-ah).minimum(ah)
        rise = torch.where(yb == ya, 0, 1 / (yb - ya))
        s0, s1 = ((-ah - ya) * rise).clamp(0, 1), ((ah - ya) * rise).clamp(0, 1)
        sa, sb = s0.minimum(s1), s0.maximum(s1)
        total += (xb - xa) * (ca * sa + (ca + cb) / 2 * (sb - sa) + cb * (1 - sb))
    inter = total.abs()
    return inter / (a[:, None, 2] * a[:, None, 3] + b[None, :, 2] * b[None, :, 3] - inter)


def torch_nms(boxes, scores, threshold):
    order = scores.argsort(descending=True)
    above = torch_iou(boxes[order], boxes[order]) > threshold
    alive = torch.ones(len(boxes), dtype=torch.bool, device=boxes.device)
    for i in range(len(boxes)):
        if alive[i]:
            alive[i + 1 :] &= ~above[i, i + 1 :]
    return order[alive]


@pytest.mark.parametrize("n", [1000, 5000])
def test_box_iou_rotated(compare, threads, n):
    boxes, _ = rotated_boxes(n)
    others, _ = rotated_boxes(1000, seed=1)
    compare(
        "box_iou_rotated",
        f"{n} x 1000",
        lambda: ops.box_iou_rotated(boxes, others),
        lambda: torch_iou(boxes, others),
        peer_name="vectorised torch",
        target=10,
    )


@pytest.mark.parametrize("n", [1000, 5000])
def test_nms_rotated(compare, n):
    boxes, scores = rotated_boxes(n)
    compare(
        "nms_rotated",
        f"n={n}",
        lambda: ops.nms_rotated(boxes, scores, 0.5),
        lambda: torch_nms(boxes, scores, 0.5),
        peer_name="vectorised torch",
        target=10,
    )


def test_batched_nms_rotated(compare, threads):
    boxes, scores = rotated_boxes(5000)
    idxs = torch.arange(5000) % 15
    compare(
        "batched_nms_rotated",
        "5000 boxes, 15 classes",
        lambda: ops.batched_nms_rotated(boxes, scores, idxs, 0.5),
        lambda: [torch_nms(boxes[idxs == c], scores[idxs == c], 0.5) for c in range(15)],
        peer_name="vectorised torch",
        target=10,
    )
