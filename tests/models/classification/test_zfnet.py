"""ZFNet, and the switches of its pools."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fastcv.models import create_model


def test_parameters():
    with torch.device("meta"):
        model = create_model("zfnet")
    assert sum(p.numel() for p in model.parameters()) == 62_357_608


def test_map_sizes_are_the_figures():
    with torch.device("meta"):
        x, sizes = torch.empty(1, 3, 224, 224), []
        for layer in create_model("zfnet").features:
            x = layer(x)
            if isinstance(layer, (nn.Conv2d, nn.MaxPool2d)):
                sizes.append((x.shape[1], x.shape[2]))
    assert sizes == [
        (96, 110),
        (96, 55),
        (256, 26),
        (256, 13),
        (384, 13),
        (384, 13),
        (256, 13),
        (256, 6),
    ]


def test_layers_are_in_the_papers_order():
    with torch.device("meta"):
        layers = [type(m).__name__ for m in create_model("zfnet").features]
    assert layers[:4] == ["Conv2d", "ReLU", "MaxPool2d", "LocalResponseNorm"]
    assert layers[4:8] == layers[:4] and layers.count("LocalResponseNorm") == 2


def test_switches_put_maxima_back_where_they_were():
    torch.manual_seed(0)
    model = create_model("zfnet", num_classes=3).eval()
    inputs = []  # of each pool
    for layer in model.features:
        if isinstance(layer, nn.MaxPool2d):
            layer.register_forward_pre_hook(lambda _, x: inputs.append(x[0].clone()))
    images = torch.randn(2, 3, 70, 93)
    with torch.no_grad():
        want = model.features(images)
        maps, switches = model.features_with_switches(images)
    assert torch.equal(maps, want) and len(switches) == 3
    for before, (indices, size) in zip(inputs, switches, strict=True):
        assert size == before.shape[-2:]
        after = F.max_pool2d(before, 3, 2, ceil_mode=True)
        back = F.max_unpool2d(after, indices, 3, 2, output_size=size)
        kept = torch.zeros_like(before, dtype=torch.bool).flatten(2)
        kept = kept.scatter(2, indices.flatten(2), True).view_as(before)
        assert torch.equal(back, before * kept) and (kept.sum() > 0)
        # Windows overlap: two may share a maximum, so there are at most as many as windows.
        assert kept.sum() <= after.numel()


def test_error():
    model = create_model("zfnet", num_classes=3)
    with pytest.raises(ValueError, match=r"must be 224 x 224 .* got \[1, 3, 64, 64\]"):
        model(torch.rand(1, 3, 64, 64))
