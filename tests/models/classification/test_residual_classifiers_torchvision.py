"""Residual and mobile classifiers against torchvision's: keys, numbers, weights."""

import pytest
import torch
import torchvision.models as peers
from torch.nn import functional as F

from fastcv.models import create_model
from fastcv.models._registry import find_model

# Ours and theirs have the same names.
WEIGHTS = {
    "resnext50_32x4d": "ResNeXt50_32X4D_Weights",
    "resnext101_32x8d": "ResNeXt101_32X8D_Weights",
    "resnext101_64x4d": "ResNeXt101_64X4D_Weights",
    "wide_resnet50_2": "Wide_ResNet50_2_Weights",
    "wide_resnet101_2": "Wide_ResNet101_2_Weights",
    **{f"densenet{n}": f"DenseNet{n}_Weights" for n in (121, 161, 169, 201)},
    **{f"efficientnet_b{n}": f"EfficientNet_B{n}_Weights" for n in range(8)},
    "mobilenet_v2": "MobileNet_V2_Weights",
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_keys_and_shapes(name):
    with torch.device("meta"):
        ours, peer = create_model(name), getattr(peers, name)()
    expected = {k: v.shape for k, v in peer.state_dict().items()}
    assert {k: v.shape for k, v in ours.state_dict().items()} == expected


@pytest.mark.parametrize(
    "name",
    [
        "resnext50_32x4d",
        "wide_resnet50_2",
        "densenet121",
        "efficientnet_b0",
        "efficientnet_b5",
        "mobilenet_v2",
    ],
)
def test_same_logits_and_gradients(name):
    torch.manual_seed(0)
    peer, ours = getattr(peers, name)(num_classes=7), create_model(name, num_classes=7)
    ours.load_state_dict(peer.state_dict())
    x, labels = torch.randn(2, 3, 64, 64), torch.tensor([1, 6])
    if name == "densenet121":  # ours pools first: norms over 2 x 2 x 2 values magnify rounding
        peer, ours, x = peer.double(), ours.double(), x.double()
    torch.manual_seed(1)  # the same paths are dropped
    logits = ours(x)
    torch.manual_seed(1)
    expected = peer(x)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    ours.loss(logits, labels)["cross_entropy"].backward()
    F.cross_entropy(expected, labels).backward()
    for key, parameter in peer.named_parameters():
        difference = (ours.get_parameter(key).grad - parameter.grad).abs().max()
        assert difference <= 1e-4 * parameter.grad.abs().max(), key
    ours.eval(), peer.eval()  # with the statistics that this step gathered
    with torch.no_grad():
        torch.testing.assert_close(ours(x), peer(x), rtol=1e-4, atol=1e-4)
    peer.load_state_dict(ours.state_dict())


@pytest.mark.parametrize("name", ["efficientnet_b3", "efficientnet_b6"])
def test_same_norms(name):
    with torch.device("meta"):
        ours, peer = create_model(name), getattr(peers, name)()
    for key, norm in peer.named_modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            mine = ours.get_submodule(key)
            assert (mine.eps, mine.momentum) == (norm.eps, norm.momentum)
    assert ours.classifier[0].p == peer.classifier[0].p


@pytest.mark.parametrize("name", WEIGHTS)
def test_what_is_known_of_the_weights(name):
    theirs = {w.name: w for w in getattr(peers, WEIGHTS[name])}
    ours = {w.name: w for w in find_model(name).weights}
    assert ours.keys() == theirs.keys()
    with torch.device("meta"):
        model = create_model(name)
    for weights, w in ours.items():
        peer, preset = theirs[weights], theirs[weights].transforms()
        assert w.url == peer.url
        assert list(w.classes) == peer.meta["categories"]
        assert w.metric == peer.meta["_metrics"]["ImageNet-1K"]
        preprocessing = {**model.preprocessing, **w.preprocessing}
        assert [preprocessing["resize"]] == preset.resize_size
        assert [preprocessing["crop"]] == preset.crop_size
        assert list(preprocessing["mean"]) == preset.mean
        assert list(preprocessing["std"]) == preset.std
        assert preprocessing["interpolation"] == preset.interpolation.value
