"""What RetinaFace is made of: square priors, points as offsets, the context module."""

import pytest
import torch

from fastcv.nn.backbones.mobilenet_v1 import MobileNetV1Trunk, conv_norm
from fastcv.nn.detection.point_coder import PointCoder
from fastcv.nn.detection.square_priors import SquarePriors
from fastcv.nn.detection.ssh import SSHContext


def test_priors_are_squares_about_the_cells():
    maps = [torch.zeros(2, 4, 3, 5), torch.zeros(2, 4, 2, 3)]
    fine, coarse = SquarePriors([(4, 6, 10), (20,)], [8, 16])(maps)
    assert fine.shape == (3 * 5 * 3, 4) and coarse.shape == (2 * 3, 4)
    sides = fine[:, 2:] - fine[:, :2]
    assert sides.tolist() == [[s, s] for s in (4.0, 6.0, 10.0)] * 15
    middles = (fine[:, :2] + fine[:, 2:]) / 2
    number = (2 * 5 + 3) * 3 + 1  # row 2, column 3
    assert middles[number].tolist() == [3.5 * 8, 2.5 * 8]
    assert coarse[-1].tolist() == [40 - 10, 24 - 10, 40 + 10, 24 + 10]


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ([(4, 6)], "sizes must be of 2 maps"),
        ([(4,), (0,)], "above 0"),
        ([(4,), (float("nan"),)], "above 0"),
    ],
)
def test_sizes_that_cannot_be(sizes, words):
    with pytest.raises(ValueError, match=words):
        SquarePriors(sizes, [8, 16])


def test_points_by_hand_and_back():
    priors = torch.tensor([[10.0, 20, 30, 60], [0, 0, 8, 8]])
    points = torch.tensor([[[20.0, 40], [25, 20]], [[4.0, 8], [-4, 4]]])
    offsets = PointCoder(10.0).encode(points, priors)
    # From the middles (20, 40) and (4, 4), in tenths of the sides 20 x 40 and 8 x 8.
    expected = torch.tensor([[[0.0, 0], [2.5, -5]], [[0.0, 5], [-10, 0]]])
    torch.testing.assert_close(offsets, expected)
    torch.testing.assert_close(PointCoder(10.0).decode(offsets, priors), points)
    none = PointCoder().encode(torch.zeros(0, 5, 2), torch.zeros(0, 4))
    assert none.shape == (0, 5, 2)


@pytest.mark.parametrize(("part", "reach"), [(slice(0, 4), 1), (slice(4, 6), 2), (slice(6, 8), 3)])
def test_a_context_sees_so_many_cells(part, reach):
    torch.manual_seed(0)
    module = SSHContext(8, slope=0.1).eval()
    for norm in module.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            torch.nn.init.constant_(norm.bias, 5.0)  # so that the ReLU at the end lets all through
    x = torch.randn(1, 8, 11, 11, requires_grad=True)
    module(x)[0, part, 5, 5].sum().backward()
    seen = x.grad[0].abs().sum(0) > 0
    expected = torch.zeros(11, 11, dtype=torch.bool)
    expected[5 - reach : 6 + reach, 5 - reach : 6 + reach] = True
    assert torch.equal(seen, expected)


def test_a_context_needs_quarters():
    with pytest.raises(ValueError, match="channels must be a multiple of 4, got 6"):
        SSHContext(6)


@pytest.mark.parametrize(("slope", "expected"), [(None, -2.0), (0.0, 0.0), (0.1, -0.2)])
def test_slopes(slope, expected):
    layer = conv_norm(1, 1, kernel=1, slope=slope).eval()
    torch.nn.init.ones_(layer[0].weight)
    assert layer(torch.full((1, 1, 1, 1), -2.0)).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("width", [0.25, 0.5, 1.0])
def test_the_trunks_maps(width):
    with torch.device("meta"):
        maps = MobileNetV1Trunk(width)(torch.zeros(1, 3, 65, 96))
    sizes = [(9, 12), (5, 6), (3, 3)]
    assert [x.shape[1:] for x in maps] == [
        (int(channels * width), *size)
        for channels, size in zip((256, 512, 1024), sizes, strict=True)
    ]
