"""The pyramid with weights that let one see what it adds."""

import pytest
import torch
from torch import nn

from fastcv.nn.backbones.fpn import FeaturePyramidNetwork, LastLevelMaxPool, LastLevelP6P7
from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.nn.backbones.resnet_fpn import ResNetFPN


def test_coarse_maps_are_added_to_fine_ones():
    fpn = FeaturePyramidNetwork([1, 1], 1, LastLevelMaxPool())
    for parameter in fpn.parameters():
        nn.init.zeros_(parameter)
    for block in fpn.inner_blocks:
        nn.init.ones_(block[0].weight)
    for block in fpn.layer_blocks:
        block[0].weight.data[..., 1, 1] = 1  # the middle of the 3x3: the map itself
    fine = torch.arange(12.0).reshape(1, 1, 3, 4)  # odd: 3 rows over 2
    coarse = torch.tensor([[[[100.0, 200.0], [300.0, 400.0]]]])
    out = fpn({"a": fine, "b": coarse})
    assert list(out) == ["a", "b", "pool"]
    nearest = torch.tensor([[100, 100, 200, 200], [100, 100, 200, 200], [300, 300, 400, 400.0]])
    assert torch.equal(out["a"][0, 0], fine[0, 0] + nearest)
    assert torch.equal(out["b"], coarse)
    assert out["pool"].flatten().tolist() == [100.0]


def test_wrong_number_of_levels():
    with pytest.raises(ValueError, match=r"must have 2 levels, got \['a'\]"):
        FeaturePyramidNetwork([1, 1], 1)({"a": torch.zeros(1, 1, 2, 2)})


@pytest.mark.parametrize("layers", range(6))
def test_trainable_layers(layers):
    backbone = ResNetFPN(ResNetTrunk(18, width=2), 4, None, trainable_layers=layers)
    parts = ["layer4", "layer3", "layer2", "layer1", ("conv1", "bn1")]
    trained = {name for name, p in backbone.body.named_parameters() if p.requires_grad}
    for i, part in enumerate(parts):
        names = [n for n, _ in backbone.body.named_parameters() if n.startswith(part)]
        assert names and all((name in trained) == (i < layers) for name in names)
    assert all(p.requires_grad for p in backbone.fpn.parameters())


def test_trainable_layers_out_of_range():
    with pytest.raises(ValueError, match="trainable_layers must be 0 to 5, got 6"):
        ResNetFPN(ResNetTrunk(18, width=2), trainable_layers=6)


def test_the_pyramid_starts_at_a_stage():
    backbone = ResNetFPN(ResNetTrunk(18, width=2), 4, LastLevelP6P7(4, 4), first_stage=2)
    maps = backbone(torch.rand(1, 3, 128, 96))
    assert {name: tuple(x.shape) for name, x in maps.items()} == {
        "0": (1, 4, 16, 12),
        "1": (1, 4, 8, 6),
        "2": (1, 4, 4, 3),
        "p6": (1, 4, 2, 2),
        "p7": (1, 4, 1, 1),
    }


@pytest.mark.parametrize(("channels", "source"), [(2, "p5"), (5, "c5")])
def test_p6_is_of_p5_or_c5(channels, source):
    extra = LastLevelP6P7(channels, 2)
    p5, c5 = torch.full((1, 2, 4, 4), -3.0), torch.ones(1, 5, 4, 4)
    for conv in (extra.p6, extra.p7):
        nn.init.zeros_(conv.weight), nn.init.zeros_(conv.bias)
        conv.weight.data[:, 0, 1, 1] = 1  # every second pixel of the first channel
    outputs, names = extra([p5], [c5], ["0"])
    _, p6, p7 = outputs
    assert names == ["0", "p6", "p7"]
    assert p6.shape == (1, 2, 2, 2) and (p6 == (-3 if source == "p5" else 1)).all()
    assert p7.flatten().tolist() == ([0.0, 0.0] if source == "p5" else [1.0, 1.0])  # activated
