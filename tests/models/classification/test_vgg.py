"""The VGG classifiers."""

import pytest
import torch
from torch import nn

from fastcv.models import create_model
from fastcv.models._registry import find_model

COUNTS = {
    "vgg11": 132_863_336,
    "vgg11_bn": 132_868_840,
    "vgg13": 133_047_848,
    "vgg13_bn": 133_053_736,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "vgg19": 143_667_240,
    "vgg19_bn": 143_678_248,
}


@pytest.mark.parametrize("name", COUNTS)
def test_parameters(name):
    with torch.device("meta"):
        model = create_model(name)
    assert sum(p.numel() for p in model.parameters()) == COUNTS[name]
    assert model.classes[281] == "tabby" and len(model.classes) == 1000


@pytest.mark.parametrize("name", COUNTS)
def test_published_weights(name):
    (weights,) = find_model(name).weights
    assert weights.name == "IMAGENET1K_V1"
    assert weights.url == f"https://download.pytorch.org/models/{name}-{weights.sha256}.pth"
    assert 69 <= weights.metric["acc@1"] < weights.metric["acc@5"] < 92


def test_starts_as_its_checkpoints_did():
    torch.manual_seed(0)
    model = create_model("vgg11", num_classes=5)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d):  # He et al. (2015), by outputs
            want = (2 / (9 * layer.out_channels)) ** 0.5
            assert float(layer.weight.detach().std()) == pytest.approx(want, rel=0.05)
        elif isinstance(layer, nn.Linear):
            assert float(layer.weight.detach().std()) == pytest.approx(0.01, rel=0.02)
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            assert not layer.bias.any()
