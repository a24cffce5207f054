"""Boxes in half precision: their numbers as they are, not what half would make of sums of them."""

import pytest
import torch

from fastcv import ops

HALVES = [torch.float16, torch.bfloat16]
PAIRWISE = ["box_iou", "generalized_box_iou", "distance_box_iou", "complete_box_iou"]


def some_boxes(dtype, seed=0, n=200):
    g = torch.Generator().manual_seed(seed)
    corner = torch.rand(n, 2, generator=g) * 300
    size = torch.rand(n, 2, generator=g) * 700 + 8
    return torch.cat([corner.to(dtype), (corner + size).to(dtype)], 1)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", PAIRWISE)
def test_pairs_are_those_of_the_exact_boxes(device, name, dtype):
    a, b = some_boxes(dtype).to(device), some_boxes(dtype, seed=1).to(device)
    for x, y in ((a, b), (a, a)):
        got = getattr(ops, name)(x, y)
        want = getattr(ops, name)(x.double(), y.double())
        assert got.dtype == torch.float32 and got.max() <= 1
        torch.testing.assert_close(got.double(), want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("fmt", ["xywh", "cxcywh", "cxcywhr", "xywhr", "xyxyxyxy"])
def test_other_formats(device, fmt, dtype):
    g = torch.Generator().manual_seed(0)
    boxes = torch.rand(60, 4, generator=g) * 300 + 100
    if fmt not in ("xywh", "cxcywh"):
        boxes = torch.cat([boxes, torch.rand(60, 1, generator=g) * 90], 1)
        boxes = ops.box_convert(boxes, "cxcywhr", fmt)
    boxes = boxes.to(dtype).to(device)
    got = ops.box_iou(boxes, boxes, fmt)
    want = ops.box_iou(boxes.double(), boxes.double(), fmt)
    assert got.dtype == torch.float32 and got.max() <= 1
    torch.testing.assert_close(got.double(), want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [*HALVES, torch.float32, torch.float64])
def test_never_above_one(device, dtype):
    """Also of boxes that differ by a rounding, upright and rotated."""
    a = some_boxes(dtype).to(device)
    for step in (1 + 2**-7, 1 + 2**-10, 1 + 2**-22):
        assert ops.box_iou(a, (a * step).to(dtype)).max() <= 1
        turned = torch.cat([a, a[:, :1] * 0.3], 1)
        assert ops.box_iou_rotated(turned, (turned * step).to(dtype)).max() <= 1


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("name", ["generalized", "distance", "complete"])
def test_losses_are_those_of_the_exact_boxes(device, name, dtype):
    loss = getattr(ops, f"{name}_box_iou_loss")
    a, b = some_boxes(dtype).to(device), some_boxes(dtype, seed=1).to(device)
    got, want = loss(a, b), loss(a.double(), b.double())
    torch.testing.assert_close(got.double(), want, rtol=1e-5, atol=1e-5)
    assert loss(a, a).min() >= -1e-6  # an IoU above 1 would make it negative


@pytest.mark.parametrize("dtype", HALVES)
def test_levels_of_a_pyramid(device, dtype):
    """A side of 256 has an area beyond float16; each level here holds its own number."""
    names = ["0", "1", "2", "3"]
    levels = {n: torch.full((1, 1, 512 >> i, 512 >> i), float(i)) for i, n in enumerate(names)}
    sides = torch.cat([torch.arange(1.0, 250, 7), torch.arange(250.0, 2000, 31)])
    boxes = torch.stack([torch.ones_like(sides)] * 2 + [1 + sides, 1 + sides * 0.9], 1).to(dtype)
    pool = ops.MultiScaleRoIAlign(names, 1, 2)
    levels = {n: x.to(device) for n, x in levels.items()}
    boxes = boxes.to(device)
    want = pool(levels, [boxes.float()], [(2048, 2048)])
    got = pool({n: x.to(dtype) for n, x in levels.items()}, [boxes], [(2048, 2048)])
    assert torch.equal(got.float().round(), want.round()) and len(want.round().unique()) == 4
    exact = (boxes.double()[:, 2:] - boxes.double()[:, :2]).prod(1)
    level = (4 + (exact.sqrt() / 224).log2() + 1e-6).floor().clamp(2, 5) - 2
    assert torch.equal(want.flatten().round().double(), level)


SCORED = ["nms", "batched_nms", "soft_nms", "batched_soft_nms"]
SCORED += ["nms_rotated", "batched_nms_rotated"]


@pytest.mark.parametrize(
    "dtypes", [(torch.float32, torch.bfloat16), (torch.bfloat16, torch.float32)]
)
@pytest.mark.parametrize("name", SCORED)
def test_under_autocast_boxes_and_scores_may_differ(device, name, dtypes):
    g = torch.Generator().manual_seed(0)
    corner = torch.rand(50, 2, generator=g) * 40
    boxes = torch.cat([corner, corner + torch.rand(50, 2, generator=g) * 20 + 1], 1)
    if "rotated" in name:
        boxes = torch.cat([boxes, boxes[:, :1]], 1)
    boxes = boxes.to(device, dtypes[0])
    scores = torch.rand(50, generator=g).to(device, dtypes[1])
    ids = [torch.arange(50, device=device) % 3] if name.startswith("batched") else []
    options = ["linear"] if "soft" in name else []
    op = getattr(ops, name)
    with pytest.raises(RuntimeError, match="scores must have the dtype of boxes"):
        op(boxes, scores, *ids, *options, 0.3)
    want = op(boxes.float(), scores.float(), *ids, *options, 0.3)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        got = op(boxes, scores, *ids, *options, 0.3)
        scripted = torch.jit.script(op)(boxes, scores, *ids, *options, 0.3)
    for out in (got, scripted):
        torch.testing.assert_close(out, want, rtol=0, atol=0)


def test_rotated_pairs_under_autocast(device):
    a = torch.cat([some_boxes(torch.float32, n=9), torch.ones(9, 1)], 1).to(device)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        got = ops.box_iou_rotated(a, a.bfloat16())
    assert torch.equal(got, ops.box_iou_rotated(a, a.bfloat16().float()))
