"""DropBlock: whole blocks, the right part of the pixels, the right mean."""

import pytest
import torch

from fastcv.nn.layers.drop_block import DropBlock2d, DropBlock3d, drop_block2d, drop_block3d

DROPS = {2: drop_block2d, 3: drop_block3d}


def maps(axes, side=15, count=200):
    return torch.ones(count, 2, *[side] * axes)


@pytest.mark.parametrize("axes", [2, 3])
def test_zeros_are_whole_blocks(axes):
    torch.manual_seed(0)
    kept = DROPS[axes](maps(axes, 9, 40), 0.05, 3) > 0
    pool = torch.nn.functional.max_pool2d if axes == 2 else torch.nn.functional.max_pool3d
    # Where a 3-block of zeros lies whole, it begins; spread again, the blocks are all the zeros.
    begins = 1 - pool(kept.float(), 3, 1)
    again = pool(torch.nn.functional.pad(begins, [2] * 2 * axes), 3, 1)
    assert torch.equal(again == 1, ~kept) and (~kept).any() and kept.any()


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("p", [0.05, 0.1])
def test_part_and_mean(axes, p):
    torch.manual_seed(0)
    out = DROPS[axes](maps(axes), p, 3)
    dropped = (out == 0).float().mean().item()
    assert abs(dropped - p) < 0.15 * p + 0.01  # less where blocks overlap
    assert out.mean().item() == pytest.approx(1, abs=1e-4)
    assert len(out.unique()) == 2


def test_a_block_as_large_as_the_map():
    torch.manual_seed(0)
    out = drop_block2d(torch.ones(2000, 1, 5, 5), 0.3, 9)  # 9 is cut to 5
    whole = out.flatten(1)
    assert ((whole == 0).all(1) | (whole > 0).all(1)).all()
    assert abs((whole == 0).float().mean().item() - 0.3) < 0.04  # 4 standard deviations
    assert (drop_block2d(torch.ones(3, 1, 5, 5), 1.0, 5) == 0).all()


@pytest.mark.parametrize("layer", [DropBlock2d, DropBlock3d])
def test_modes(layer):
    x = torch.rand(2, 3, 7, 7, 7) if layer is DropBlock3d else torch.rand(2, 3, 7, 7)
    assert layer(0.5, 3).eval()(x) is x and layer(0.0, 3)(x) is x
    before = x.clone()
    torch.manual_seed(0)
    out = layer(0.3, 3)(x)
    assert torch.equal(x, before) and not torch.equal(out, x)
    torch.manual_seed(0)
    assert layer(0.3, 3, inplace=True)(x) is x and torch.equal(x, out)
    assert repr(layer(0.3, 3)) == f"{layer.__name__}(p=0.3, block_size=3, inplace=False)"


@pytest.mark.parametrize("axes", [2, 3])
def test_refuses(axes):
    name, x = f"drop_block{axes}d", maps(axes, 8, 1)
    for p in (-0.1, 1.1):
        with pytest.raises(ValueError, match=rf"{name}: p must be in \[0, 1\], got {p}"):
            DROPS[axes](x, p, 3)
    for size in (4, 0, 9):  # 9 is cut to 8
        with pytest.raises(ValueError, match=f"{name}: block_size must be odd and at least 1"):
            DROPS[axes](x, 0.1, size)
    with pytest.raises(ValueError, match=f"{name}: input must have {2 + axes} dimensions"):
        DROPS[axes](x[0], 0.1, 3)
