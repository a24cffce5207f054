"""Heatmaps pasted into pictures, pixel by pixel."""

import pytest
import torch

from fastcv.nn.detection.box_heatmaps import expanded, paste_heatmaps


def at(heatmap, v, u):
    """The heatmap's value at (u, v) of its own pixels, whose centres are at 0.5, 1.5 ..."""
    h, w = heatmap.shape
    v, u = min(max(v - 0.5, 0.0), h - 1.0), min(max(u - 0.5, 0.0), w - 1.0)
    total = 0.0
    for row in range(h):
        for column in range(w):
            share = max(0.0, 1 - abs(v - row)) * max(0.0, 1 - abs(u - column))
            total += share * float(heatmap[row, column])
    return total


@pytest.mark.parametrize(
    "box",
    [(1.0, 2.0, 9.0, 7.0), (2.3, 1.2, 6.9, 9.8), (-5.5, -3.0, 30.0, 4.5), (3.1, 3.1, 3.4, 3.4)],
)
def test_by_the_definition(box):
    torch.manual_seed(0)
    heatmap = torch.rand(4, 5)
    (got,) = paste_heatmaps(heatmap[None], torch.tensor([box]), (11, 12), threshold=0.45)
    x1, y1, x2, y2 = box
    for y in range(11):
        for x in range(12):
            u, v = (x + 0.5 - x1) / (x2 - x1), (y + 0.5 - y1) / (y2 - y1)
            inside = 0 <= u < 1 and 0 <= v < 1
            value = at(heatmap, v * 4, u * 5)
            assert abs(value - 0.45) > 1e-4  # no tie hides a mistake
            assert bool(got[y, x]) == (inside and value >= 0.45)


def test_none_and_outside():
    assert paste_heatmaps(torch.rand(0, 3, 3), torch.zeros(0, 4), (5, 6)).shape == (0, 5, 6)
    boxes = torch.tensor([[20.0, 20.0, 30.0, 30.0]])
    assert not paste_heatmaps(torch.ones(1, 3, 3), boxes, (5, 6)).any()


def test_expanded_keeps_the_centre():
    boxes = torch.tensor([[0.0, 10.0, 4.0, 30.0], [5.0, 5.0, 5.0, 6.0]])
    got = expanded(boxes, 1.5)
    torch.testing.assert_close(got[:, :2] + got[:, 2:], boxes[:, :2] + boxes[:, 2:])
    torch.testing.assert_close(got[:, 2:] - got[:, :2], 1.5 * (boxes[:, 2:] - boxes[:, :2]))
