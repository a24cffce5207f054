"""Planted corners and centres become the boxes that they were planted for."""

import torch

from fastcv.nn.points.corner_pairs import (
    Pairs,
    central_region,
    confirm_by_centers,
    pair_corners,
    peaks_of,
)
from fastcv.nn.points.heads import CornerMaps

SHAPE = (1, 2, 16, 20)


def planted(points):
    """Maps of corners ``(channel, x, y, score, embedding, dx, dy)``, and nothing elsewhere."""
    heatmap, embedding, offset = (
        torch.zeros(SHAPE),
        torch.zeros(1, 1, 16, 20),
        torch.zeros(1, 2, 16, 20),
    )
    for channel, x, y, score, tag, dx, dy in points:
        heatmap[0, channel, y, x] = score
        embedding[0, 0, y, x] = tag
        offset[0, :, y, x] = torch.tensor([dx, dy])
    return CornerMaps(heatmap.clamp(1e-6, 1 - 1e-6).logit(), embedding, offset)


def test_corners_find_each_other():
    top_left = planted([(0, 2, 3, 0.9, 1.0, 0.5, 0.25), (1, 5, 1, 0.8, -1.0, 0.0, 0.0)])
    bottom_right = planted(
        [
            (0, 9, 8, 0.7, 1.3, 0.125, 0.0),  # of the first
            (1, 12, 14, 0.6, -1.4, 0.0, 0.5),  # of the second
            (1, 14, 6, 0.95, -1.6, 0.0, 0.0),  # its embedding is too far from the second's
            (0, 1, 12, 0.95, 1.0, 0.0, 0.0),  # left of all top-left corners
        ]
    )
    pairs = pair_corners(top_left, bottom_right, k=10)
    found = pairs.scores[0] > 0.1  # the rest pairs with what was not planted
    assert pairs.channels[0, found].tolist() == [0, 1]
    torch.testing.assert_close(pairs.scores[0, found], torch.tensor([0.8, 0.7]))
    want = [[2.5, 3.25, 9.125, 8.0], [5.0, 1.0, 12.0, 14.5]]
    torch.testing.assert_close(pairs.boxes[0, found], torch.tensor(want))


def test_at_most_so_many_pairs():
    torch.manual_seed(0)
    maps = CornerMaps(torch.randn(SHAPE), torch.zeros(1, 1, 16, 20), torch.zeros(1, 2, 16, 20))
    pairs = pair_corners(maps, maps, k=20, max_pairs=7)
    assert pairs.boxes.shape == (1, 7, 4) and pairs.scores.shape == (1, 7)
    assert (pairs.scores.diff() <= 0).all()


def test_central_region_of_a_third_and_a_fifth():
    boxes = torch.tensor([[10.0, 0, 40, 60], [10.0, 0, 60, 100]])
    got = central_region(boxes, torch.tensor([3, 5]))
    assert got.tolist() == [[20, 20, 30, 40], [30, 40, 40, 60]]


def test_centers_confirm_boxes_of_their_class():
    boxes = torch.tensor([[[0.0, 0, 9, 9], [6.0, 0, 15, 9], [0.0, 6, 9, 15], [0.0, 0, 9, 9]]])
    pairs = Pairs(boxes, torch.tensor([[0.9, 0.6, 0.5, -1.0]]), torch.tensor([[0, 0, 0, 0]]))
    center = planted(
        [
            (0, 4, 4, 0.3, 0, 0.5, 0.5),  # in the middle of the first: 4.5
            (0, 4, 3, 0.2, 0, 0.0, 0.5),  # so is this, but it is no peak
            (1, 10, 4, 0.9, 0, 0.5, 0.5),  # in the second's middle, of another class
            (0, 2, 10, 0.9, 0, 0.5, 0.5),  # in the third, not in its middle third
        ]
    )
    got = confirm_by_centers(
        pairs, peaks_of(center.heatmap, 4), center.offset, torch.full((1, 4), 3)
    )
    torch.testing.assert_close(got, torch.tensor([[(0.9 + 0.9 + 0.3) / 3, -1, -1, -1]]))
