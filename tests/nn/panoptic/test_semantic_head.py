"""The semantic head: its shapes, its start, and levels that share their convolutions."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fastcv.nn.panoptic.semantic_head import SemanticHead


def pyramid(channels=8, sides=(16, 8, 4, 2)):
    return [torch.randn(2, channels, side, side + side // 2) for side in sides]


@pytest.mark.parametrize("layers", [2, 3, 4])
def test_starts_as_plain_convolutions(layers):
    """With offsets of zero, each level by itself, brought to the finest's size, and one score."""
    torch.manual_seed(0)
    head, levels = SemanticHead(8, 5, channels=4, layers=layers), pyramid()
    maps = []
    for x in levels:
        for block in head.subnet:
            x = F.conv2d(x, block[0].weight, block[0].bias, padding=1).relu()
        maps.append(x)
    assert len(head.subnet) == layers and maps[0].shape[1] == 4
    maps = [F.interpolate(x, size=(16, 24), mode="bilinear", align_corners=False) for x in maps]
    expected = F.conv2d(torch.cat(maps, 1), head.score.weight, head.score.bias)
    torch.testing.assert_close(head(levels), expected, rtol=1e-4, atol=1e-5)


def test_offsets_move_what_is_seen():
    torch.manual_seed(0)
    head, levels = SemanticHead(8, 5, channels=4), pyramid()
    before = head(levels)
    with torch.no_grad():
        head.subnet[0][0].conv_offset.bias.fill_(0.5)
    assert (head(levels) - before).abs().max() > 1e-3


def test_with_norms():
    """As VPSNet has it: no bias, a group norm behind each convolution."""
    head = SemanticHead(64, 5, channels=32, norm_layer=partial(nn.GroupNorm, 32))
    assert [type(layer).__name__ for layer in head.subnet[0]] == [
        "DeformConv2dPack",
        "GroupNorm",
        "ReLU",
    ]
    assert all(block[0].bias is None for block in head.subnet)
    assert head(pyramid(64)).shape == (2, 5, 16, 24)


def test_too_few_layers():
    with pytest.raises(ValueError, match="layers must be at least 2, got 1"):
        SemanticHead(8, 5, layers=1)
