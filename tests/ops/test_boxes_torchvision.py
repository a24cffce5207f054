"""Box arithmetic, box losses and MultiScaleRoIAlign: torchvision's results."""

import pytest
import torch
import torchvision
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fastcv import ops

boxes_of = st.lists(
    st.tuples(*[st.floats(-50, 50, width=32)] * 2, *[st.floats(0.125, 60, width=32)] * 2),
    min_size=1,
    max_size=12,
)


def corners(rows):
    t = torch.tensor(rows, dtype=torch.float64)
    return torch.cat([t[:, :2], t[:, :2] + t[:, 2:]], 1)


def close(a, b):
    assert a.dtype == b.dtype
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6, equal_nan=True)


@settings(max_examples=60, deadline=None)
@given(boxes_of, boxes_of, st.sampled_from([torch.float64, torch.float32, torch.float16]))
def test_pairs(a, b, dtype):
    a, b = corners(a).to(dtype), corners(b).to(dtype)
    for name in ("box_iou", "generalized_box_iou", "distance_box_iou", "complete_box_iou"):
        got, want = getattr(ops, name)(a, b), getattr(torchvision.ops, name)(a, b)
        tolerance = 2e-3 if dtype == torch.float16 else 1e-5
        torch.testing.assert_close(
            got.float(), want.float(), rtol=tolerance, atol=tolerance, equal_nan=True
        )
    close(ops.box_area(a), torchvision.ops.box_area(a))


@settings(max_examples=60, deadline=None)
@given(boxes_of, st.sampled_from(["none", "mean", "sum"]))
@example([(0.0, 0.0, 0.5, 1.0)], "none")  # boxes that touch
def test_losses(rows, reduction):
    a = corners(rows)
    b = a.flip(0) + torch.tensor([0.5, -0.25, 1.0, 0.5])
    for name in ("generalized", "distance", "complete"):
        results = []
        for library in (ops, torchvision.ops):
            x = a.clone().requires_grad_()
            loss = getattr(library, f"{name}_box_iou_loss")(x, b, reduction=reduction)
            results += [(loss, torch.autograd.grad(loss.sum(), x)[0])]
        close(results[0][0], results[1][0])
        close(results[0][1], results[1][1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
def test_upright_conversions(dtype):
    boxes = (torch.rand(5, 3, 4, generator=torch.Generator().manual_seed(0)) * 20).to(dtype)
    formats = ["xyxy", "xywh", "cxcywh"]
    for a in formats:
        for b in formats:
            got = ops.box_convert(boxes, a, b)
            torch.testing.assert_close(
                got.double(), torchvision.ops.box_convert(boxes, a, b).double()
            )


def test_rotated_conversions():
    g = torch.Generator().manual_seed(0)
    boxes = torch.rand(20, 5, generator=g) * torch.tensor([50, 50, 30, 30, 170.0]) + 1
    formats = ["cxcywhr", "xywhr", "xyxyxyxy"]
    for a in formats:
        start = torchvision.ops.box_convert(boxes, "cxcywhr", a)
        for b in formats:
            got, want = ops.box_convert(start, a, b), torchvision.ops.box_convert(start, a, b)
            torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-3)


def test_clip_remove_masks():
    g = torch.Generator().manual_seed(0)
    boxes = torch.rand(50, 4, generator=g) * 80 - 20
    for size in ((30, 40), (1, 100)):
        clip, peer = ops.clip_boxes_to_image, torchvision.ops.clip_boxes_to_image
        assert torch.equal(clip(boxes, size), peer(boxes, size))
    remove, peer = ops.remove_small_boxes, torchvision.ops.remove_small_boxes
    assert torch.equal(remove(boxes, 5.0), peer(boxes, 5.0))
    masks = torch.rand(9, 30, 20, generator=g) < 0.05
    assert torch.equal(ops.masks_to_boxes(masks), torchvision.ops.masks_to_boxes(masks))


def test_multiscale_roi_align():
    g = torch.Generator().manual_seed(0)
    x = {str(i): torch.randn(2, 16, 256 >> i, 320 >> i, generator=g) for i in range(4)}
    corner = torch.rand(2, 40, 2, generator=g) * 700
    size = (torch.rand(2, 40, 2, generator=g) * 9).exp2()
    boxes = list(torch.cat([corner, corner + size], 2))
    shapes = [(1000, 1200), (1024, 1280)]
    for names in (["0", "1", "2", "3"], ["1", "2"], ["2"]):
        ours = ops.MultiScaleRoIAlign(names, 7, 2)
        peer = torchvision.ops.MultiScaleRoIAlign(names, 7, 2)
        torch.testing.assert_close(
            ours(x, boxes, shapes), peer(x, boxes, shapes), rtol=1e-4, atol=1e-4
        )
