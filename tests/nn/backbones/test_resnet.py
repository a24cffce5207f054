"""The trunk's strides, dilations and starting weights."""

import math

import pytest
import torch
from torch import nn

from fastcv.nn.backbones.resnet import ResidualBlock, ResNetTrunk
from fastcv.nn.layers.frozen_batch_norm import FrozenBatchNorm2d


def strides(trunk, size=64):
    with torch.no_grad():
        return [size // x.shape[-1] for x in trunk(torch.rand(2, 3, size, size))]


@pytest.mark.parametrize("depth", [18, 50])
def test_dilation_instead_of_stride(depth):
    assert strides(ResNetTrunk(depth, width=4)) == [4, 8, 16, 32]
    dilated = ResNetTrunk(depth, width=4, replace_stride_with_dilation=[False, True, True])
    assert strides(dilated) == [4, 8, 8, 8]
    # The same weights on the same grid: what stride 1 computes at every second pixel.
    plain = ResNetTrunk(depth, width=4)
    dilated.load_state_dict(plain.state_dict())
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        want, got = plain.eval()(x)[3], dilated.eval()(x)[3]
    torch.testing.assert_close(got[..., ::4, ::4], want, rtol=1e-4, atol=1e-5)


def rates(layer):
    return [block.conv2.dilation[0] for block in layer]


def test_which_blocks_dilate():
    options = {"width": 4, "replace_stride_with_dilation": (False, True, True)}
    trunk = ResNetTrunk(50, **options)
    assert (rates(trunk.layer3), rates(trunk.layer4)) == ([1, 2, 2, 2, 2, 2], [2, 4, 4])
    first = ResNetTrunk(50, dilate_first=True, **options)
    assert (rates(first.layer3), rates(first.layer4)) == ([2] * 6, [4, 4, 4])
    grid = ResNetTrunk(50, multi_grid=(1, 2, 4), **options)
    assert (rates(grid.layer3), rates(grid.layer4)) == ([1, 2, 2, 2, 2, 2], [4, 8, 16])
    assert all(block.conv2.padding == block.conv2.dilation for block in grid.layer4)
    with pytest.raises(ValueError, match=r"multi_grid must have 3 entries.*got \(1, 2, 4, 8\)"):
        ResNetTrunk(50, multi_grid=(1, 2, 4, 8))


def test_counts():
    # Table 1 of the paper has the layers; of the classifiers' known totals, the linear layer is
    # 512 or 2048 x 1000 + 1000.
    with torch.device("meta"):
        for depth, total, features in [(18, 11_689_512, 512), (50, 25_557_032, 2048)]:
            parameters = sum(p.numel() for p in ResNetTrunk(depth).parameters())
            assert parameters == total - features * 1000 - 1000
        wide = sum(p.numel() for p in ResNetTrunk(50, width_per_group=128).parameters())
        assert wide == 68_883_240 - 2_049_000  # Wide ResNet-50-2
        grouped = ResNetTrunk(50, groups=32, width_per_group=4)
        assert sum(p.numel() for p in grouped.parameters()) == 25_028_904 - 2_049_000  # ResNeXt-50


def test_starting_weights():
    torch.manual_seed(0)
    conv = ResNetTrunk(18).layer3[1].conv1
    # Variance 2 / fan-out; of 256 * 256 * 9 numbers the deviation is known to 0.1 %.
    assert conv.weight.std().item() == pytest.approx(math.sqrt(2 / (256 * 9)), rel=0.005)


@pytest.mark.parametrize("depth", [18, 50])
def test_blocks_may_start_as_the_identity(depth):
    trunk = ResNetTrunk(depth, width=4, zero_init_residual=True)
    blocks = [m for m in trunk.modules() if isinstance(m, ResidualBlock) and m.downsample is None]
    x = torch.rand(2, blocks[-1].conv1.in_channels, 4, 4)
    assert torch.equal(blocks[-1](x), x)
    block = ResNetTrunk(depth, width=4).layer4[-1]
    assert not torch.equal(block(x), x)


def test_norm_layer_is_used_throughout():
    trunk = ResNetTrunk(18, width=4, norm_layer=FrozenBatchNorm2d)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in trunk.modules())
    assert sum(isinstance(m, FrozenBatchNorm2d) for m in trunk.modules()) == 20


def test_errors():
    with pytest.raises(ValueError, match=r"depth must be one of \[18, 34, 50, 101, 152\], got 20"):
        ResNetTrunk(20)
    with pytest.raises(ValueError, match="take a Bottleneck"):
        ResNetTrunk(18, groups=2)
    with pytest.raises(ValueError, match="must have three entries"):
        ResNetTrunk(18, replace_stride_with_dilation=[True])
