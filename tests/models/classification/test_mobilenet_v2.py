"""MobileNetV2: the paper's table 2, its multiplications and widths, real weights on photographs."""

import pytest
import skimage.data
import torch
from real_weights import real_weights
from torch import nn

from fastcv.models import create_model
from fastcv.nn.backbones.mobilenet_v2 import InvertedResidual


def multiplications(model, size):
    """Of the convolutions and linear layers, for one image."""
    total = []

    def count(layer, _, output):
        total.append(output[0].numel() * layer.weight[0].numel())

    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            layer.register_forward_hook(count)
    with torch.device("meta"):
        model(torch.rand(1, 3, size, size))
    return sum(total)


# Table 4 of the paper: 3.4 and 6.9 million parameters, 300 and 585 million multiplications.
@pytest.mark.parametrize(
    ("width", "parameters", "cost"), [(1.0, 3_504_872, 300.8e6), (1.4, 6_108_776, 582e6)]
)
def test_size_and_cost(width, parameters, cost):
    with torch.device("meta"):
        model = create_model("mobilenet_v2", width=width)
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert multiplications(model, 224) == pytest.approx(cost, rel=2e-3)


def test_maps_are_the_papers():
    with torch.device("meta"):
        features = create_model("mobilenet_v2").features
        x, seen = torch.rand(1, 3, 224, 224), []
        for layer in features:
            x = layer(x)
            seen.append((x.shape[1], x.shape[2]))
    assert seen == [
        (32, 112), (16, 112), *[(24, 56)] * 2, *[(32, 28)] * 3, *[(64, 14)] * 4, *[(96, 14)] * 3,
        *[(160, 7)] * 3, (320, 7), (1280, 7),
    ]  # fmt: skip


def test_the_narrow_ends_have_no_relu():
    torch.manual_seed(0)
    block = InvertedResidual(4, 4, expansion=6, stride=1)
    x = torch.randn(2, 4, 8, 8)
    added = block(x) - x  # narrow, and on both sides of zero beyond what ReLU6 would leave
    torch.testing.assert_close(added, block.conv(x))
    assert added.min() < -1
    inside = block.conv[:2](50 * x)
    assert inside.min() == 0 and inside.max() <= 6
    assert block.conv[0](x).shape[1] == 24


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(4, 4, 2), (4, 6, 1)])
def test_other_shapes_have_no_shortcut(inputs, outputs, stride):
    block = InvertedResidual(inputs, outputs, expansion=6, stride=stride)
    x = torch.randn(2, inputs, 8, 8)
    torch.testing.assert_close(block(x), block.conv(x))


@pytest.mark.parametrize("width", [0.25, 0.5, 1.4])
def test_widths_run(width):
    model = create_model("mobilenet_v2", width=width, num_classes=3)
    assert model(torch.rand(2, 3, 33, 64)).shape == (2, 3)
    assert all(m.out_channels % 8 == 0 for m in model.modules() if isinstance(m, nn.Conv2d))


def test_real_weights_on_photographs():
    model = create_model("mobilenet_v2", weights=real_weights("mobilenet_v2"))
    coffee, cat = model.predict([skimage.data.coffee(), skimage.data.chelsea()])
    (name, score), (cats_name, cats_score) = coffee.top(1)[0], cat.top(1)[0]
    assert name == "espresso" and score == pytest.approx(0.99, abs=0.01)
    # .71 of torchvision's resizing of PIL pictures; of ours, in floating point, .72.
    assert cats_name == "Egyptian cat" and cats_score == pytest.approx(0.71, abs=0.02)
