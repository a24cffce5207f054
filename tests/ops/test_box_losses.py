"""Box losses against values worked out by hand, and against the IoUs they are made of."""

import math

import pytest
import torch

from fastcv.ops import (
    complete_box_iou,
    complete_box_iou_loss,
    distance_box_iou,
    distance_box_iou_loss,
    generalized_box_iou,
    generalized_box_iou_loss,
)

LOSSES = {
    generalized_box_iou_loss: generalized_box_iou,
    distance_box_iou_loss: distance_box_iou,
    complete_box_iou_loss: complete_box_iou,
}


@pytest.fixture(params=LOSSES, ids=lambda f: f.__name__)
def loss(request):
    return request.param


def pairs(n=6):
    g = torch.Generator().manual_seed(0)
    r = torch.rand(2, n, 4, generator=g, dtype=torch.float64)
    return torch.cat([r[..., :2] * 4, r[..., :2] * 4 + 0.5 + r[..., 2:] * 4], -1)


def test_is_one_less_the_iou(device, loss):
    a, b = pairs().to(device)
    want = 1 - LOSSES[loss](a, b).diagonal()
    torch.testing.assert_close(loss(a, b), want, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(loss(a, b, reduction="sum"), want.sum(), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(loss(a, b, reduction="mean"), want.mean(), rtol=1e-6, atol=1e-6)


def test_by_hand():
    a, b = torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[1.0, 1.0, 3.0, 3.0]])
    # Intersection 1, union 7, hull 9; centres 2 apart (squared), the hull's diagonal 18 (squared).
    assert generalized_box_iou_loss(a, b).item() == pytest.approx(1 - 1 / 7 + 2 / 9, abs=1e-6)
    assert distance_box_iou_loss(a, b).item() == pytest.approx(1 - 1 / 7 + 2 / 18, abs=1e-6)
    assert complete_box_iou_loss(a, b).item() == pytest.approx(1 - 1 / 7 + 2 / 18, abs=1e-6)


def test_gradients(device, loss):
    a, b = pairs().to(device)
    a.requires_grad_()
    if loss is complete_box_iou_loss:  # its penalty's weight is a constant to the gradient
        loss(a, b, reduction="sum").backward()
        assert a.grad.isfinite().all() and (a.grad != 0).any()
    else:
        assert torch.autograd.gradcheck(lambda x: loss(x, b), (a,))


def test_a_step_brings_boxes_together(loss):
    a, b = pairs()
    a = a.requires_grad_()
    before = loss(a, b, reduction="sum")
    before.backward()
    assert loss(a - 1e-3 * a.grad, b, reduction="sum") < before


def test_dtypes_shapes_nothing(device, loss):
    a, b = pairs().to(device)
    for dtype in (torch.float16, torch.bfloat16):
        assert loss(a.to(dtype), b.to(dtype)).dtype == torch.float32
    assert loss(a[None], b[None]).shape == (1, 6)
    empty = a[:0].detach().requires_grad_()
    for reduction in ("mean", "sum"):
        value = loss(empty, b[:0], reduction=reduction)
        assert value.item() == 0
        value.backward()
    degenerate = torch.zeros(1, 4, device=device)
    assert loss(degenerate, degenerate).isfinite().all() or loss is complete_box_iou_loss


@pytest.mark.parametrize("box", [[2.0, 6, 8, 6], [5.0, 2, 5, 9], [5.0, 5, 5, 5], [0.0, 0, 0, 0]])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16])
def test_flat_boxes(device, loss, box, dtype):
    """Finite values and gradients, whichever of the two has no height, no width, or neither."""
    flat = torch.tensor([box], dtype=dtype, device=device)
    for other in (torch.tensor([[1.0, 2, 7, 9]], dtype=dtype, device=device), flat, flat + 3):
        for boxes in ((flat, other), (other, flat)):
            a, b = (x.detach().clone().requires_grad_() for x in boxes)
            value = loss(a, b)
            value.sum().backward()
            for tensor in (value, a.grad, b.grad):
                assert tensor.isfinite().all()


def test_aspect_of_flat_boxes_by_hand(device):
    """arctan(w / h) is pi/2 at h = 0, where its slope by h is -1 / w."""
    flat = torch.tensor([[0.0, 2, 6, 2]], dtype=torch.float64, device=device).requires_grad_()
    square = torch.tensor([[0.0, 0, 4, 4]], dtype=torch.float64, device=device)
    v = 4 / math.pi**2 * (math.pi / 2 - math.pi / 4) ** 2
    weight = v / (1 + v + 1e-7)
    penalty = complete_box_iou_loss(flat, square) - distance_box_iou_loss(flat, square)
    assert penalty.item() == pytest.approx(weight * v, abs=1e-6)
    penalty.sum().backward()
    slope = weight * 4 / math.pi**2 * 2 * (math.pi / 4) * (-1 / 6)
    assert flat.grad[0].tolist() == pytest.approx([0, -slope, 0, slope], abs=1e-6)


def test_sides_too_small_to_divide_by(device):
    for side in (1e-12, 1e-20, 1e-38, 1e-44):
        a = torch.tensor([[0.0, 0, side, 0]], device=device).requires_grad_()
        complete_box_iou_loss(a, torch.tensor([[0.0, 0, 4, 2]], device=device)).sum().backward()
        assert a.grad.isfinite().all()


def test_errors(loss):
    a, b = pairs()
    with pytest.raises(ValueError, match="reduction must be 'none', 'mean' or 'sum', got 'xyz'"):
        loss(a, b, reduction="xyz")
    with pytest.raises(ValueError, match=r"must have the same shape \[..., 4\], got \[6, 4\] and"):
        loss(a, b[:3])
