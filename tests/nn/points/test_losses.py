"""The losses of points, against values worked out by hand from the papers' equations."""

import math

import pytest
import torch

from fastcv.nn.points.losses import heatmap_focal_loss, l1_loss, offset_loss, pull_push_loss


def test_heatmap_focal_loss_by_hand():
    """CornerNet's equation 1, cell by cell."""
    p, y = [0.8, 0.3, 0.6, 0.1], [1.0, 1.0, 0.5, 0.0]
    logits = torch.tensor(p, dtype=torch.float64).logit()
    want = 0.0
    for predicted, expected in zip(p, y, strict=True):
        if expected == 1:
            want -= (1 - predicted) ** 2 * math.log(predicted)
        else:
            want -= (1 - expected) ** 4 * predicted**2 * math.log(1 - predicted)
    got = heatmap_focal_loss(logits, torch.tensor(y, dtype=torch.float64))
    assert got.item() == pytest.approx(want / 2)  # two ones


def test_heatmap_without_objects_is_the_sum():
    got = heatmap_focal_loss(torch.zeros(2, 3), torch.zeros(2, 3))
    assert got.item() == pytest.approx(6 * 0.25 * math.log(2))


def test_heatmap_focal_loss_of_extreme_logits():
    logits = torch.tensor([80.0, -80.0, 80.0, -80.0], requires_grad=True)
    loss = heatmap_focal_loss(logits, torch.tensor([1.0, 1.0, 0.0, 0.0]))
    assert loss.item() == pytest.approx((80 + 80) / 2)
    loss.backward()
    assert logits.grad.isfinite().all()
    assert heatmap_focal_loss(logits.half(), torch.ones(4)).dtype == torch.float32


def test_pull_push_by_hand():
    """Equations 4 and 5: means 0.1, 0.5 and 2; distances 0.4, 1.9 and 1.5."""
    pull, push = pull_push_loss(torch.tensor([0.0, 0.5, 1.5]), torch.tensor([0.2, 0.5, 2.5]))
    assert pull.item() == pytest.approx((2 * 0.1**2 + 0 + 2 * 0.5**2) / 3)
    assert push.item() == pytest.approx(2 * (1 - 0.4) / 6)


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_to_push_apart(count):
    pull, push = pull_push_loss(torch.zeros(count), torch.ones(count))
    assert pull.item() == count * 0.5 and push.item() == 0


def test_offsets_by_hand():
    found, expected = torch.tensor([[0.5, -2.0], [0.0, 1.0]]), torch.zeros(2, 2)
    assert offset_loss(found, expected).item() == pytest.approx((0.125 + 1.5 + 0 + 0.5) / 2)
    assert l1_loss(found, expected).item() == pytest.approx((0.5 + 2 + 0 + 1) / 2)
    assert (
        offset_loss(found[:0], expected[:0]).item() == l1_loss(found[:0], expected[:0]).item() == 0
    )
