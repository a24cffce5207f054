"""Outputs of dense heads in rows, and boxes of the best of them."""

import pytest
import torch

from fastcv.nn.detection.box_coder import BoxCoder
from fastcv.nn.detection.dense_head import Candidates, best_pairs, found_boxes, per_anchor


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_rows_are_in_the_order_of_anchors(layout):
    anchors, columns, height, width = 2, 3, 4, 5
    x = torch.randn(2, anchors * columns, height, width).contiguous(memory_format=layout)
    rows = per_anchor(x, columns)
    assert rows.shape == (2, height * width * anchors, columns)
    for y, col, a, c in [(0, 0, 0, 0), (1, 2, 1, 2), (3, 4, 1, 0)]:
        row = (y * width + col) * anchors + a
        assert torch.equal(rows[:, row, c], x[:, a * columns + c, y, col])
    shared = rows.untyped_storage().data_ptr() == x.untyped_storage().data_ptr()
    assert shared == (layout == torch.channels_last)


def test_rows_are_in_float32():
    assert per_anchor(torch.zeros(1, 4, 1, 1, dtype=torch.bfloat16), 4).dtype == torch.float32
    assert per_anchor(torch.zeros(1, 4, 1, 1, dtype=torch.float64), 4).dtype == torch.float64


@pytest.mark.parametrize("count", [1, 5, 20, 100, 1000])
def test_best_pairs_are_those_of_sorting_all(count):
    logits = torch.randn(3, 40, 7, generator=torch.Generator().manual_seed(0))
    logits[1] *= torch.linspace(0.1, 1, 40)[:, None]  # few anchors have most of the best
    values, anchors, labels = best_pairs(logits, count)
    expected, index = logits.flatten(1).sort(dim=1, descending=True)
    count = min(count, 280)
    assert torch.equal(values, expected[:, :count])
    assert torch.equal(anchors * 7 + labels, index[:, :count])


def test_found_boxes():
    anchors = torch.tensor([[0.0, 0, 10, 10], [1.0, 0, 11, 10], [30.0, 30, 50, 50]])
    deltas = torch.zeros(3, 4)
    deltas[2, 0] = 0.5  # half a width to the right: beyond the image's edge
    candidates = Candidates(
        torch.tensor([0, 1, 1, 2]), torch.tensor([1, 1, 2, 1]), torch.tensor([0.6, 0.9, 0.5, 0.7])
    )

    def find(most):
        return found_boxes(
            candidates,
            deltas,
            anchors,
            BoxCoder(),
            (60, 45),
            iou_threshold=0.5,
            max_detections=most,
        )

    boxes, scores, labels = find(10)
    # Anchor 0 goes for the better anchor 1 of its class; of class 2 that one stays.
    assert scores.tolist() == pytest.approx([0.9, 0.7, 0.5]) and labels.tolist() == [1, 1, 2]
    assert boxes.tolist() == [[1, 0, 11, 10], [40, 30, 45, 50], [1, 0, 11, 10]]
    assert find(2).labels.tolist() == [1, 1]
