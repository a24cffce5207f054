"""The set loss: the matching is the cheapest of all, the terms are those computed by hand."""

import itertools
import math

import pytest
import torch

from fastcv.nn.losses.set_loss import SetLoss
from fastcv.ops import box_convert, generalized_box_iou


def some_boxes(*shape, generator):
    centre = torch.rand(*shape, 2, generator=generator) * 0.6 + 0.2
    size = torch.rand(*shape, 2, generator=generator) * 0.3 + 0.05
    return torch.cat([centre, size], dim=-1)


@pytest.mark.parametrize("seed", range(5))
def test_matching_is_the_cheapest(seed):
    g = torch.Generator().manual_seed(seed)
    logits, boxes = torch.randn(1, 5, 4, generator=g), some_boxes(1, 5, generator=g)
    labels, expected = torch.tensor([2, 0, 2]), some_boxes(3, generator=g)
    ((rows, columns),) = SetLoss().match(logits, boxes, [(labels, expected)])

    probability = logits[0].softmax(-1)
    giou = generalized_box_iou(*(box_convert(b, "cxcywh", "xyxy") for b in (boxes[0], expected)))

    def cost(assignment):  # of each object's prediction
        total = 0.0
        for column, row in enumerate(assignment):
            l1 = (boxes[0, row] - expected[column]).abs().sum()
            total += 5 * l1 - 2 * giou[row, column] - probability[row, labels[column]]
        return float(total)

    best = min(itertools.permutations(range(5), 3), key=cost)
    assert dict(zip(columns.tolist(), rows.tolist(), strict=True)) == dict(enumerate(best))
    assert rows.tolist() == sorted(rows.tolist())


def test_terms_by_hand():
    """Two predictions, two classes; one object, a quarter of which the second one misses."""
    logits = torch.tensor([[[0.0, 0.0, 0.0], [math.log(2), 0.0, 0.0]]])
    boxes = torch.tensor([[[0.1, 0.1, 0.1, 0.1], [0.5, 0.5, 0.4, 0.3]]])
    objects = [(torch.tensor([0]), torch.tensor([[0.5, 0.5, 0.4, 0.4]]))]
    losses = SetLoss()(logits, boxes, objects)
    # Weights 0.1 (no object, probability 1/3) and 1 (class 0, probability 1/2).
    want = (0.1 * math.log(3) + math.log(2)) / 1.1
    assert losses["loss_ce"].item() == pytest.approx(want, rel=1e-6)
    assert losses["loss_bbox"].item() == pytest.approx(5 * 0.1, rel=1e-6)
    # One lies within the other: GIoU is IoU, 0.3 / 0.4.
    assert losses["loss_giou"].item() == pytest.approx(2 * 0.25, rel=1e-5)


def test_small_boxes_count_as_large_ones():
    scale = torch.tensor([1.0, 1.0, 1e-3, 1e-3])
    boxes = torch.tensor([[[0.5, 0.5, 0.4, 0.3]]]) * scale
    objects = [(torch.tensor([0]), torch.tensor([[0.5, 0.5, 0.4, 0.4]]) * scale)]
    losses = SetLoss()(torch.zeros(1, 1, 2), boxes, objects)
    # Sides of 4e-4 at 0.5, where float32 is exact to 6e-8.
    assert losses["loss_giou"].item() == pytest.approx(2 * 0.25, rel=2e-3)


def test_sums_are_over_the_objects_of_the_batch():
    g = torch.Generator().manual_seed(0)
    logits, boxes = torch.randn(3, 4, 3, generator=g), some_boxes(3, 4, generator=g)
    objects = [
        (torch.tensor([0, 1]), some_boxes(2, generator=g)),
        (torch.zeros(0, dtype=torch.int64), torch.zeros(0, 4)),
        (torch.tensor([1]), some_boxes(1, generator=g)),
    ]
    loss = SetLoss()
    whole = loss(logits, boxes, objects)
    parts = [loss(logits[i : i + 1], boxes[i : i + 1], objects[i : i + 1]) for i in range(3)]
    for term in ("loss_bbox", "loss_giou"):
        want = (2 * parts[0][term] + parts[2][term]) / 3
        torch.testing.assert_close(whole[term], want)
        assert parts[1][term] == 0


def test_a_diverged_network_is_told_by_its_loss():
    logits, boxes = torch.full((1, 2, 3), math.nan), torch.full((1, 2, 4), math.nan)
    objects = [(torch.tensor([0]), torch.tensor([[0.5, 0.5, 0.4, 0.4]]))]
    assert all(term.isnan() for term in SetLoss()(logits, boxes, objects).values())
