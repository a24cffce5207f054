"""Box arithmetic against values worked out by hand and plain loops."""

import math

import pytest
import torch

from fastcv.ops import (
    box_area,
    box_convert,
    box_iou,
    clip_boxes_to_image,
    complete_box_iou,
    distance_box_iou,
    generalized_box_iou,
    masks_to_boxes,
    remove_small_boxes,
)

PAIRWISE = [box_iou, generalized_box_iou, distance_box_iou, complete_box_iou]


def overlap(a, b):
    """IoU, GIoU, DIoU and CIoU of two boxes in scalars, as their papers define them."""
    w = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    h = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    union = sum(areas) - w * h
    iou = w * h / union
    hull_w, hull_h = max(a[2], b[2]) - min(a[0], b[0]), max(a[3], b[3]) - min(a[1], b[1])
    giou = iou - (hull_w * hull_h - union) / (hull_w * hull_h)
    distance = ((a[0] + a[2] - b[0] - b[2]) / 2) ** 2 + ((a[1] + a[3] - b[1] - b[3]) / 2) ** 2
    diou = iou - distance / (hull_w**2 + hull_h**2 + 1e-7)
    turns = [math.atan((c[2] - c[0]) / (c[3] - c[1])) for c in (a, b)]
    v = 4 / math.pi**2 * (turns[0] - turns[1]) ** 2
    return iou, giou, diou, diou - v * v / (1 - iou + v + 1e-7)


def random_boxes(n, seed=0):
    g = torch.Generator().manual_seed(seed)
    corner = torch.rand(n, 2, generator=g, dtype=torch.float64) * 10
    return torch.cat([corner, corner + 0.5 + torch.rand(n, 2, generator=g) * 8], 1)


def test_pairs_match_the_definitions(device):
    a, b = random_boxes(7), random_boxes(9, seed=1)
    for which, op in enumerate(PAIRWISE):
        got = op(a.to(device), b.to(device)).cpu()
        want = torch.tensor([[overlap(x, y)[which] for y in b.tolist()] for x in a.tolist()])
        torch.testing.assert_close(got, want.double(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("op", PAIRWISE)
def test_gradients(device, op):
    a, b = random_boxes(3).to(device).requires_grad_(), random_boxes(4, seed=1).to(device)
    b.requires_grad_()
    if op is complete_box_iou:  # finite differences see the weight, too
        op(a, b).sum().backward()
        assert a.grad.isfinite().all() and b.grad.abs().sum() > 0
    else:
        assert torch.autograd.gradcheck(op, (a, b))


@pytest.mark.parametrize("op", PAIRWISE)
def test_dtypes_and_no_boxes(device, op):
    a = random_boxes(3).to(device)
    want = op(a, a)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.float16, 2e-2), (torch.bfloat16, 1e-1)):
        got = op(a.to(dtype), a.to(dtype))
        assert got.dtype == torch.float32
        torch.testing.assert_close(got.double(), want, rtol=tolerance, atol=tolerance)
    assert op(a.long(), a.long() + 1).is_floating_point()
    assert op(a[:0], a).shape == (0, 3) and op(a, a[:0]).shape == (3, 0)


@pytest.mark.parametrize("op", PAIRWISE)
def test_errors_of_pairs(op):
    with pytest.raises(ValueError, match=rf"{op.__name__}: boxes1 must have shape \[N, 4\], got"):
        op(torch.zeros(3, 5), torch.zeros(3, 4))
    with pytest.raises(ValueError, match=rf"{op.__name__}: boxes2 must have shape \[M, 4\], got"):
        op(torch.zeros(3, 4), torch.zeros(4))


def test_large_half_coordinates_do_not_overflow():
    boxes = torch.tensor([[0.0, 0.0, 1000.0, 1000.0]], dtype=torch.float16)
    assert box_area(boxes).item() == 1e6
    assert box_iou(boxes, boxes).item() == 1


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_area_of_integers(device, dtype):
    boxes = torch.tensor([[10, 20, 200, 220]], device=device).to(dtype)
    assert box_area(boxes).item() == 38000
    assert box_area(torch.tensor([[10, 20, 30, 40]]), fmt="xywh").item() == 1200


def test_upright_formats(device):
    boxes = {
        "xyxy": torch.tensor([[2.0, 3.0, 8.0, 13.0]], device=device),
        "xywh": torch.tensor([[2.0, 3.0, 6.0, 10.0]], device=device),
        "cxcywh": torch.tensor([[5.0, 8.0, 6.0, 10.0]], device=device),
    }
    for a in boxes:
        for b in boxes:
            out = box_convert(boxes[a], a, b)
            assert torch.equal(out, boxes[b]) and out.data_ptr() != boxes[a].data_ptr()
        assert box_iou(boxes[a], boxes[a], fmt=a).item() == 1
        assert box_area(boxes[a], fmt=a).item() == 60


@pytest.mark.parametrize("angle", [0.0, 30.0, 90.0, -120.0, 180.0])
def test_rotated_formats(device, angle):
    centre = torch.tensor([[10.0, 20.0, 8.0, 4.0, angle]], dtype=torch.float64, device=device)
    corners = box_convert(centre, "cxcywhr", "xyxyxyxy").reshape(4, 2).cpu()
    a = math.radians(angle)
    for (u, v), corner in zip([(-4, -2), (4, -2), (4, 2), (-4, 2)], corners, strict=True):
        want = [10 + u * math.cos(a) + v * math.sin(a), 20 - u * math.sin(a) + v * math.cos(a)]
        torch.testing.assert_close(corner, torch.tensor(want, dtype=torch.float64))
    top_left = box_convert(centre, "cxcywhr", "xywhr")
    torch.testing.assert_close(top_left[0, :2].cpu(), corners[0])
    for fmt in ("xywhr", "xyxyxyxy"):
        there = box_convert(centre, "cxcywhr", fmt)
        back = box_convert(there, fmt, "cxcywhr")
        back[0, 4] = centre[0, 4] + (back[0, 4] - centre[0, 4] + 180) % 360 - 180
        torch.testing.assert_close(back, centre)
        torch.testing.assert_close(
            box_iou(there, there, fmt=fmt).cpu(), torch.ones(1, 1, dtype=torch.float64)
        )


def test_format_errors():
    boxes = torch.zeros(2, 4)
    with pytest.raises(ValueError, match=r"box_convert: format must be one of xyxy, .*got 'yxyx'"):
        box_convert(boxes, "yxyx", "xyxy")
    with pytest.raises(NotImplementedError, match="xyxy and cxcywhr are not both upright"):
        box_convert(boxes, "xyxy", "cxcywhr")
    with pytest.raises(ValueError, match=r"boxes must have shape \[..., 5\], got \[2, 4\]"):
        box_convert(boxes, "xywhr", "cxcywhr")
    with pytest.raises(ValueError, match="box_area: format must be one of xyxy, xywh, cxcywh"):
        box_area(boxes, fmt="cxcywhr")


def test_clip(device):
    boxes = torch.tensor([[[-5.0, -1, 50, 70], [3, 4, 5, 6]]], device=device)
    out = clip_boxes_to_image(boxes, (40, 30))
    assert out.tolist() == [[[0, 0, 30, 40], [3, 4, 5, 6]]]
    assert boxes[0, 0, 0] == -5
    assert clip_boxes_to_image(torch.zeros(0, 4), (4, 4)).shape == (0, 4)
    with pytest.raises(ValueError, match="clip_boxes_to_image: boxes must have shape"):
        clip_boxes_to_image(torch.zeros(3), (4, 4))


def test_remove_small(device):
    boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 2, 1.9], [0, 0, float("nan"), 9], [1, 1, 9, 9]])
    assert remove_small_boxes(boxes.to(device), 2.0).tolist() == [0, 3]


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.float32])
def test_masks(device, dtype):
    g = torch.Generator().manual_seed(0)
    masks = (torch.rand(20, 17, 23, generator=g) < 0.01).to(dtype)
    masks[3] = 0
    boxes = masks_to_boxes(masks.to(device)).cpu()
    assert boxes.dtype == torch.float32
    for mask, box in zip(masks, boxes, strict=True):
        places = [(x, y) for y in range(17) for x in range(23) if mask[y, x] != 0]
        xs, ys = [p[0] for p in places] or [0], [p[1] for p in places] or [0]
        assert box.tolist() == [min(xs), min(ys), max(xs), max(ys)]
    assert masks_to_boxes(masks[:0]).shape == (0, 4)
    with pytest.raises(ValueError, match=r"masks must be \[N, H, W\], got \[17, 23\]"):
        masks_to_boxes(masks[0])


def test_compiles():
    def all_of_them(a, b):
        return [op(a, b) for op in PAIRWISE], box_convert(a, "xyxy", "cxcywh"), box_area(b)

    a, b = random_boxes(4), random_boxes(5, seed=1)
    got = torch.compile(all_of_them, fullgraph=True, backend="aot_eager")(a, b)
    for x, y in zip(got[0], all_of_them(a, b)[0], strict=True):
        assert torch.equal(x, y)
