"""Heads of landmarks: losses by hand, points of outputs, crops."""

import pytest
import torch

from fastcv.nn.landmarks import CoordinateHead, HeatmapHead, encode
from fastcv.nn.landmarks.crops import cut_squares, squares_about

NAN = float("nan")


def test_coordinates_of_an_output():
    head = CoordinateHead(2, 3, (8, 16))
    output = torch.tensor([[[0.0, 0.0], [1.0, 1.0], [-1.0, -1.0]]])
    points, scores = head.points(output)
    # The middle, the lower right end and the upper left end of the map: half a cell beyond centres.
    assert points.tolist() == [[[7.5, 3.5], [15.5, 7.5], [-0.5, -0.5]]]
    assert scores.tolist() == [[1, 1, 1]]


def test_loss_of_coordinates_by_hand():
    head = CoordinateHead(2, 3, (8, 16))
    output = torch.tensor([[[0.0, 0.0], [0.5, 0.0], [0.0, 0.0]]], requires_grad=True)
    points = torch.tensor([[[8.0, 3.5], [7.5, 0.5], [NAN, 1.0]]])
    # Distances along x and y: 0.5 and 0; 4 and 3; not there. Below a cell half of the square.
    loss = head.loss(output, points)
    assert loss.item() == pytest.approx((0.125 + 0 + 3.5 + 2.5) / 4)
    loss.backward()
    assert output.grad[0, 2].tolist() == [0, 0] and output.grad[0, :2, 0].all()


def test_loss_of_none():
    output = torch.zeros(2, 3, 2, requires_grad=True)
    loss = CoordinateHead(2, 3, (4, 4)).loss(output, torch.full((2, 3, 2), NAN))
    loss.backward()
    assert loss == 0 and not output.grad.any()


@pytest.mark.parametrize("kind", ["gaussian", "cauchy"])
def test_loss_of_heatmaps_by_hand(kind):
    head = HeatmapHead(2, 2, sigma=1.5, kind=kind)
    output = torch.rand(1, 2, 5, 6)
    points = torch.tensor([[[2.3, 1.0], [NAN, NAN]]])
    heatmap = encode(points[0, 0], (5, 6), 1.5, kind)
    expected = ((output[0, 0] - heatmap) ** 2).sum() + (output[0, 1] ** 2).sum()
    torch.testing.assert_close(head.loss(output, points), expected / 60)


@pytest.mark.parametrize("kind", ["gaussian", "cauchy"])
def test_points_of_heatmaps(kind):
    points = torch.tensor([[[2.3, 1.0], [0.0, 4.2]]])
    found, scores = HeatmapHead(2, 2, 1.5, kind).points(encode(points, (5, 6), 1.5, kind))
    torch.testing.assert_close(found, points, rtol=0, atol=1e-3)
    assert scores.min() > 0.9


@pytest.mark.parametrize("head", [CoordinateHead(4, 3, (6, 5)), HeatmapHead(4, 3)])
def test_every_parameter_learns(head):
    loss = head.loss(head(torch.rand(2, 4, 6, 5)), torch.rand(2, 3, 2) * 5)
    loss.backward()
    assert all(p.grad.any() for p in head.parameters())


def test_squares():
    boxes = torch.tensor([[10.0, 20.0, 30.0, 60.0], [0.0, 0.0, 8.0, 4.0]])
    assert squares_about(boxes, 1.0).tolist() == [[0, 20, 40, 60], [0, -2, 8, 6]]
    assert squares_about(boxes, 2.0).tolist() == [[-20, 0, 60, 80], [-4, -6, 12, 10]]
    assert squares_about(boxes[:0]).shape == (0, 4)


def test_crops():
    image = torch.arange(64.0).view(1, 8, 8)
    same, part, outside = cut_squares(
        image, torch.tensor([[0.0, 0, 8, 8], [2, 1, 6, 5], [20, 20, 28, 28]]), 4
    )
    averaged = torch.nn.functional.avg_pool2d(image, 2)
    torch.testing.assert_close(same, averaged)
    torch.testing.assert_close(part, image[:, 1:5, 2:6])
    assert not outside.any()
