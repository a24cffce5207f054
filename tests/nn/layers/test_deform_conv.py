"""The deformable convolutions as modules."""

import pytest
import torch

from fastcv.nn.layers.deform_conv import DeformConv2d, DeformConv2dPack
from fastcv.ops import deform_conv2d


def test_deform_conv2d_is_the_op():
    conv = DeformConv2d(6, 4, (3, 2), stride=2, padding=(1, 0), dilation=(1, 2), groups=2)
    x = torch.randn(2, 6, 9, 8)
    offset, mask = torch.randn(2, 36, 5, 3), torch.rand(2, 18, 5, 3)
    expected = deform_conv2d(x, offset, conv.weight, conv.bias, 2, (1, 0), (1, 2), mask)
    assert torch.equal(conv(x, offset, mask), expected)


@pytest.mark.parametrize("mask", [True, False])
@pytest.mark.parametrize("groups, offset_groups", [(1, 1), (2, 4)])
def test_pack_starts_as_a_convolution(mask, groups, offset_groups):
    conv = DeformConv2dPack(
        8, 6, 3, stride=2, padding=1, groups=groups, offset_groups=offset_groups, mask=mask
    )
    x = torch.randn(2, 8, 9, 11)
    expected = torch.nn.functional.conv2d(x, conv.weight, conv.bias, 2, 1, 1, groups)
    torch.testing.assert_close(conv(x), expected, rtol=1e-4, atol=1e-4)
    conv(x).sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in conv.parameters())


def test_pack_learns_where_to_look():
    # The target is the image two pixels to the right, which a 1 x 1 convolution cannot see.
    torch.manual_seed(0)
    x = torch.nn.functional.interpolate(torch.randn(4, 1, 6, 6), scale_factor=4, mode="bicubic")
    conv = DeformConv2dPack(1, 1, 1, bias=False)
    torch.nn.init.ones_(conv.weight)
    target = torch.nn.functional.pad(x, (0, 2))[..., 2:]
    optimizer = torch.optim.Adam(conv.parameters(), lr=0.1)
    losses = []
    for _ in range(60):
        loss = (conv(x) - target)[..., :-2].pow(2).mean()
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < 0.1 * losses[0]
    dx = conv.conv_offset(x)[:, 1]
    assert 1.5 < dx.mean() < 2.5


@pytest.mark.parametrize("name", ["conv_offset", "conv_offset_mask"])
def test_pack_loads_common_state_dicts(name):
    conv = torch.nn.Sequential(DeformConv2dPack(4, 4, 3, mask_scale=1.0))
    state = {f"0.{k}": torch.randn(v) for k, v in {
        "weight": (4, 4, 3, 3), "bias": (4,), f"{name}.weight": (27, 4, 3, 3), f"{name}.bias": (27,)
    }.items()}  # fmt: skip
    conv.load_state_dict(state)
    assert torch.equal(conv[0].conv_offset.weight, state[f"0.{name}.weight"])
    x = torch.randn(1, 4, 6, 6)
    predicted = conv[0].conv_offset(x)
    expected = deform_conv2d(
        x, predicted[:, :18], conv[0].weight, conv[0].bias, mask=predicted[:, 18:].sigmoid()
    )
    assert torch.equal(conv(x), expected)


def test_repr():
    assert repr(DeformConv2d(2, 4, 3)) == "DeformConv2d(2, 4, kernel_size=(3, 3), stride=(1, 1))"
    shown = repr(DeformConv2dPack(2, 4, 1, offset_groups=2, mask_scale=1.0, bias=False))
    assert "bias=False, offset_groups=2, mask_scale=1.0" in shown


@pytest.mark.parametrize("module", [DeformConv2d, DeformConv2dPack])
def test_refuses(module):
    with pytest.raises(ValueError, match="in_channels must be a multiple of groups = 2, got 3"):
        module(3, 4, 3, groups=2)
    with pytest.raises(ValueError, match="out_channels must be a multiple of groups = 2, got 5"):
        module(4, 5, 3, groups=2)
    with pytest.raises(ValueError, match="kernel_size must be an int or"):
        module(4, 4, (3, 3, 3))


def test_pack_refuses_offset_groups():
    with pytest.raises(ValueError, match="in_channels must be a multiple of offset_groups = 3"):
        DeformConv2dPack(4, 4, 3, offset_groups=3)
