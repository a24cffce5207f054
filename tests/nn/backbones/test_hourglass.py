"""The stacked hourglass: its sizes, its wiring, its errors."""

import pytest
import torch

from fastcv.nn.backbones.hourglass import Hourglass, StackedHourglass


def test_wiring():
    """An hourglass is its shortcut plus what was halved, processed and doubled."""
    torch.manual_seed(0)
    hourglass = Hourglass((4, 6, 8), (2, 1, 3)).eval()
    x = torch.randn(1, 4, 8, 12)
    inner = hourglass.low2
    assert [len(m) for m in (hourglass.up1, hourglass.low1, hourglass.low3)] == [2, 2, 2]
    assert [len(m) for m in (inner.up1, inner.low1, inner.low2, inner.low3)] == [1, 1, 3, 1]
    small = hourglass.low1(x)
    assert small.shape == (1, 6, 4, 6)
    smallest = inner.low3(inner.low2(inner.low1(small)))
    middle = inner.up1(small) + smallest.repeat_interleave(2, 2).repeat_interleave(2, 3)
    large = hourglass.low3(middle).repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(hourglass(x), hourglass.up1(x) + large)


@pytest.mark.parametrize("size", [(64, 96), (63, 95)])
def test_stacks(size):
    backbone = StackedHourglass(3, (8, 8, 12, 16), (1, 1, 1, 1), out_channels=6)
    assert backbone.size_divisible == 32
    maps = backbone(torch.rand(2, 3, *size))
    assert [tuple(x.shape) for x in maps] == [(2, 6, 16, 24)] * 3
    maps[2].sum().backward()
    assert all(p.grad is not None for p in backbone.parameters())


def test_errors():
    with pytest.raises(ValueError, match=r"dims and modules must have an entry for each size, 2"):
        StackedHourglass(1, (8, 8), (1,))
    with pytest.raises(ValueError, match=r"2 or more, got \(8,\) and \(1,\)"):
        StackedHourglass(1, (8,), (1,))
