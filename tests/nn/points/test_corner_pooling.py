"""Corner and centre pooling modules, against cumulative maxima."""

import pytest
import torch

from fastcv.nn.points.corner_pooling import (
    CascadeCornerPooling,
    CenterPooling,
    CornerPooling,
    whole_line,
)

X = torch.randn(2, 8, 5, 7, generator=torch.Generator().manual_seed(0))


def towards(x, dim, back):
    """The largest value from each pixel on: to the end of the line, or to its beginning."""
    if back:
        return x.cummax(dim).values
    return x.flip(dim).cummax(dim).values.flip(dim)


@pytest.mark.parametrize(("corner", "back"), [("top_left", False), ("bottom_right", True)])
def test_corner_pooling(corner, back):
    torch.manual_seed(0)
    module = CornerPooling(8, corner).eval()
    want = towards(module.p1_conv1(X), 2, back) + towards(module.p2_conv1(X), 3, back)
    torch.testing.assert_close(module.pooled(X), want)
    around = module.p_bn1(module.p_conv1(want)) + module.bn1(module.conv1(X))
    torch.testing.assert_close(module(X), module.conv2(around.relu()))


@pytest.mark.parametrize(("corner", "back"), [("top_left", False), ("bottom_right", True)])
def test_cascade_corner_pooling(corner, back):
    torch.manual_seed(0)
    module = CascadeCornerPooling(8, corner).eval()
    across, down = module.look_conv1(X), module.look_conv2(X)
    first = module.P1_look_conv(module.p1_conv1(X) + towards(across, 3, back))
    second = module.P2_look_conv(module.p2_conv1(X) + towards(down, 2, back))
    torch.testing.assert_close(module.pooled(X), towards(first, 2, back) + towards(second, 3, back))


def test_center_pooling():
    torch.manual_seed(0)
    module = CenterPooling(8).eval()
    column, row = module.p1_conv1(X).amax(2, keepdim=True), module.p2_conv1(X).amax(3, keepdim=True)
    torch.testing.assert_close(module.pooled(X), column + row)
    assert torch.equal(whole_line(X, "left", "right"), X.amax(3, keepdim=True).expand_as(X))
