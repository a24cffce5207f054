"""Heatmaps are drawn as their definition says, and their peaks are found again."""

import math

import pytest
import torch

from fastcv.nn.points.heatmaps import (
    at_cells,
    find_peaks,
    gaussian_radius,
    point_targets,
    splat_gaussians,
)
from fastcv.ops import box_iou


@pytest.mark.parametrize("overlap", [0.3, 0.7])
@pytest.mark.parametrize("size", [(10.0, 10.0), (40.0, 10.0), (3.0, 50.0)])
def test_radius_is_the_largest_that_keeps_the_overlap(size, overlap):
    """Against the overlaps themselves: both corners out, both in, both the same way."""
    width, height = size
    box = torch.tensor([[0.0, 0, width, height]], dtype=torch.float64)

    def least_overlap(r):
        moves = torch.tensor([[-r, -r, r, r], [r, r, -r, -r], [r, r, r, r]], dtype=torch.float64)
        return float(box_iou(box, box + moves).min())

    radius = float(gaussian_radius(torch.tensor([size], dtype=torch.float64), overlap))
    assert least_overlap(radius) == pytest.approx(overlap, abs=1e-9)
    assert least_overlap(radius * 1.01) < overlap


def test_gaussians_by_definition():
    points = torch.tensor([[1, 1], [6, 3], [3, 1]])
    channels, radii = torch.tensor([0, 1, 0]), torch.tensor([2, 0, 1])
    got = splat_gaussians(points, channels, radii, (2, 5, 8))
    want = torch.zeros(2, 5, 8)
    for (x, y), channel, radius in zip(
        points.tolist(), channels.tolist(), radii.tolist(), strict=True
    ):
        sigma = (2 * radius + 1) / 6
        for row in range(5):
            for column in range(8):
                dx, dy = column - x, row - y
                if max(abs(dx), abs(dy)) <= radius:
                    bump = math.exp(-(dx * dx + dy * dy) / (2 * sigma**2))
                    want[channel, row, column] = max(want[channel, row, column].item(), bump)
    torch.testing.assert_close(got, want)
    assert got[0, 1, 1] == got[0, 1, 3] == got[1, 3, 6] == 1


def test_wider_gaussians():
    one = torch.tensor([1])
    got = splat_gaussians(torch.tensor([[1, 0]]), one - 1, one, (1, 1, 3), diameters_per_sigma=5)
    assert got[0, 0, 0] == pytest.approx(math.exp(-1 / (2 * 0.6**2)))


def test_no_objects_draw_nothing():
    none = torch.zeros(0, dtype=torch.int64)
    got = point_targets([torch.zeros(0, 2)] * 2, [none] * 2, [torch.zeros(0)] * 2, (3, 4, 5))
    assert torch.equal(got.heatmap, torch.zeros(2, 3, 4, 5))
    assert len(got.image) == len(got.cell) == len(got.offset) == 0


def test_point_targets():
    points = [torch.tensor([[2.25, 1.5]]), torch.tensor([[0.0, 0.75], [5.0, 3.5]])]
    channels = [torch.tensor([1]), torch.tensor([0, 1])]
    got = point_targets(points, channels, [torch.ones(1), torch.ones(2)], (2, 4, 5))
    assert got.image.tolist() == [0, 1, 1]
    # The last lies on the border: the nearest cell is (4, 3).
    assert got.cell.tolist() == [1 * 5 + 2, 0, 3 * 5 + 4]
    assert got.offset.tolist() == [[0.25, 0.5], [0.0, 0.75], [1.0, 0.5]]
    ones = (got.heatmap == 1).nonzero().tolist()
    assert ones == [[0, 1, 1, 2], [1, 0, 0, 0], [1, 1, 3, 4]]


def test_peaks_are_read_where_they_were_drawn():
    torch.manual_seed(0)
    shape, points = (3, 12, 9), torch.tensor([[1, 2], [7, 2], [4, 10]])
    channels = torch.tensor([2, 0, 1])
    heatmap = splat_gaussians(points, channels, torch.tensor([2, 2, 2]), shape)
    heatmap *= torch.tensor([0.9, 0.5, 0.7])[:, None, None]
    maps = torch.rand(1, 2, 12, 9)
    peaks = find_peaks(heatmap[None], k=3)
    assert peaks.channels.tolist() == [[0, 2, 1]]
    assert peaks.points.tolist() == [[[7, 2], [1, 2], [4, 10]]]
    torch.testing.assert_close(peaks.scores, torch.tensor([[0.9, 0.7, 0.5]]))
    want = torch.stack([maps[0, :, y, x] for x, y in [(7, 2), (1, 2), (4, 10)]])
    assert torch.equal(peaks.read(maps)[0], want)
    assert torch.equal(at_cells(maps, torch.tensor([0]), torch.tensor([2 * 9 + 7]))[0], want[0])


def test_more_peaks_than_cells():
    peaks = find_peaks(torch.rand(2, 1, 2, 3), k=100)
    assert peaks.scores.shape == peaks.cells.shape == (2, 6)
    assert (peaks.scores > 0).sum() == 2  # all are neighbours: one peak each
