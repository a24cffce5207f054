"""BoxCoder against the paper's equation 2, number by number."""

import math

import torch

from fastcv.nn.detection.box_coder import BoxCoder


def test_values_of_the_formula():
    anchor = torch.tensor([[10.0, 20.0, 30.0, 60.0]], dtype=torch.double)  # centre 20, 40; 20 x 40
    box = torch.tensor([[12.0, 30.0, 52.0, 40.0]], dtype=torch.double)  # centre 32, 35; 40 x 10
    want = [10 * 12 / 20, 10 * -5 / 40, 5 * math.log(2), 5 * math.log(1 / 4)]
    deltas = BoxCoder((10.0, 10.0, 5.0, 5.0)).encode(box, anchor)
    torch.testing.assert_close(deltas, torch.tensor([want], dtype=torch.double))


def test_round_trip():
    g = torch.Generator().manual_seed(0)
    corners = torch.rand(2, 50, 2, generator=g, dtype=torch.double) * 100
    sides = torch.rand(2, 50, 2, generator=g, dtype=torch.double) * 80 + 1
    boxes, anchors = torch.cat([corners, corners + sides], dim=-1)
    for weights in [(1.0, 1.0, 1.0, 1.0), (10.0, 10.0, 5.0, 5.0), (1.0, 2.0, 3.0, 4.0)]:
        coder = BoxCoder(weights)
        torch.testing.assert_close(coder.decode(coder.encode(boxes, anchors), anchors), boxes)


def test_boxes_stay_finite():
    anchor = torch.tensor([[0.0, 0.0, 16.0, 16.0]])
    box = BoxCoder().decode(torch.tensor([[0.0, 0.0, 500.0, 500.0]]), anchor)
    torch.testing.assert_close(box, torch.tensor([[-492.0, -492.0, 508.0, 508.0]]))  # 1000 wide


def test_one_anchor_for_many_classes():
    anchors = torch.tensor([[0.0, 0.0, 10.0, 10.0], [5.0, 5.0, 25.0, 45.0]])
    deltas = torch.rand(2, 3, 4)
    boxes = BoxCoder().decode(deltas, anchors[:, None])
    assert torch.equal(boxes[1, 2], BoxCoder().decode(deltas[1, 2], anchors[1]))
