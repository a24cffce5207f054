"""AlexNet: today's and the paper's."""

import pytest
import torch
from torch import nn

from fastcv.models import create_model


@pytest.mark.parametrize(
    ("name", "count"), [("alexnet", 61_100_840), ("alexnet_grouped", 60_965_224)]
)
def test_parameters(name, count):
    with torch.device("meta"):
        model = create_model(name)
    assert sum(p.numel() for p in model.parameters()) == count
    assert model.classes[281] == "tabby" and len(model.classes) == 1000


def test_map_sizes_are_the_figures():
    with torch.device("meta"):
        model, x = create_model("alexnet_grouped"), torch.empty(1, 3, 224, 224)
        sizes = []
        for layer in model.features:
            x = layer(x)
            if isinstance(layer, nn.Conv2d):
                sizes.append(tuple(x.shape[1:]))
    assert sizes == [(96, 55, 55), (256, 27, 27), (384, 13, 13), (384, 13, 13), (256, 13, 13)]


def test_normalisation_comes_before_the_pool():
    with torch.device("meta"):
        layers = [type(m).__name__ for m in create_model("alexnet_grouped").features]
    assert layers[:4] == ["Conv2d", "ReLU", "LocalResponseNorm", "MaxPool2d"]
    assert layers[4:8] == layers[:4] and layers.count("LocalResponseNorm") == 2


def test_starts_as_in_the_paper():
    torch.manual_seed(0)
    model = create_model("alexnet_grouped", num_classes=5)
    layers = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert [m.bias.unique().tolist() for m in layers] == [[b] for b in (0, 1, 0, 1, 1, 1, 1, 0)]
    # 20,480 weights of the last layer at least: their deviation is within 2 % of it.
    assert all(abs(float(m.weight.detach().std()) - 0.01) < 2e-4 for m in layers)


def test_pool_or_flatten():
    torch.manual_seed(0)
    model = create_model("alexnet", num_classes=3).eval()
    flat = create_model("alexnet", num_classes=3, adaptive_pool=False).eval()
    flat.load_state_dict(model.state_dict())
    x = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(flat(x), model(x))
        with pytest.raises(ValueError, match=r"got \[1, 3, 96, 128\], whose maps are \[2, 3\]"):
            flat(x[:, :, :96, :128])
