"""AlexNet, VGG and GoogLeNet against torchvision's: keys, logits, gradients, what is published."""

import functools

import pytest
import torch
import torchvision.models as peers
from torch import nn
from torch.nn.functional import cross_entropy

from fastcv.models import create_model
from fastcv.models._registry import find_model
from fastcv.models.classification._classifier import Classifier

# Ours and theirs have the same names.
NAMES = {
    "alexnet": "AlexNet_Weights",
    "googlenet": "GoogLeNet_Weights",
    "vgg11": "VGG11_Weights",
    "vgg11_bn": "VGG11_BN_Weights",
    "vgg13": "VGG13_Weights",
    "vgg13_bn": "VGG13_BN_Weights",
    "vgg16": "VGG16_Weights",
    "vgg16_bn": "VGG16_BN_Weights",
    "vgg19": "VGG19_Weights",
    "vgg19_bn": "VGG19_BN_Weights",
}


def small(build, units=32, **config):
    """With narrow fully connected layers: a hundred million weights would say nothing more."""
    with torch.device("meta"):
        model = build(num_classes=7, **config)
        if hasattr(model, "classifier"):
            linear = [i for i, m in enumerate(model.classifier) if isinstance(m, nn.Linear)]
            inputs = model.classifier[linear[0]].in_features
            for i in linear:
                outputs = min(units, model.classifier[i].out_features)
                model.classifier[i] = nn.Linear(inputs, outputs)
                inputs = outputs
    return model.to_empty(device="cpu")


def initialize(model):
    """Signals that neither fade nor grow from layer to layer."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)
            if module.bias is not None:
                nn.init.normal_(module.bias, std=0.1)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_running_stats()
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.1)


@pytest.mark.filterwarnings("ignore:The default weight init:FutureWarning")
@pytest.mark.parametrize("name", NAMES)
def test_keys_and_shapes(name):
    with torch.device("meta"):
        ours, peer = create_model(name), getattr(peers, name)()
    expected = {k: v.shape for k, v in peer.state_dict().items()}
    assert {k: v.shape for k, v in ours.state_dict().items()} == expected


def check_gradients(ours, peer):
    for key, parameter in peer.named_parameters():
        torch.testing.assert_close(
            ours.get_parameter(key).grad,
            parameter.grad,
            rtol=1e-3,
            atol=1e-4 * float(parameter.grad.abs().max()),
            msg=key,
        )


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("alexnet", (64, 80)),
        ("vgg11", (32, 48)),
        ("vgg13_bn", (32, 48)),
        ("vgg16", (32, 48)),
        ("vgg19_bn", (32, 48)),
    ],
)
def test_same_logits_and_gradients(name, size):
    torch.manual_seed(0)
    peer = small(getattr(peers, name), dropout=0)
    initialize(peer)
    ours = small(functools.partial(create_model, name), dropout=0)
    ours.load_state_dict(peer.state_dict())
    x, labels = torch.randn(2, 3, *size), torch.tensor([1, 6])
    logits, expected = ours(x), peer(x)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    sum(ours.loss(logits, labels).values()).backward()
    cross_entropy(expected, labels).backward()
    check_gradients(ours, peer)
    ours.eval(), peer.eval()  # with the statistics that this step gathered
    with torch.no_grad():
        torch.testing.assert_close(ours(x), peer(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("transform_input", [False, True])
def test_googlenet_and_its_auxiliary_classifiers(transform_input):
    torch.manual_seed(0)
    options = {"transform_input": transform_input, "dropout": 0, "dropout_aux": 0}
    peer = small(peers.googlenet, init_weights=False, **options)
    initialize(peer)
    ours = small(functools.partial(create_model, "googlenet"), **options)
    ours.load_state_dict(peer.state_dict())
    # In float64: rounding of the input's transform may turn a maximum or a ReLU over.
    ours.double(), peer.double()
    x, labels = torch.randn(2, 3, 64, 96, dtype=torch.double), torch.tensor([1, 6])
    output, expected = ours(x), peer(x)
    torch.testing.assert_close(output.logits, expected.logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(output.aux1, expected.aux_logits1, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(output.aux2, expected.aux_logits2, rtol=1e-4, atol=1e-4)
    sum(ours.loss(output, labels).values()).backward()
    first, second = (cross_entropy(x, labels) for x in (expected.aux_logits1, expected.aux_logits2))
    (cross_entropy(expected.logits, labels) + 0.3 * first + 0.3 * second).backward()
    check_gradients(ours, peer)
    ours.eval(), peer.eval()
    with torch.no_grad():
        torch.testing.assert_close(ours(x), peer(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("name", "enum"), NAMES.items())
def test_what_is_known_of_the_weights(name, enum):
    # Those with categories: the others are of a trunk alone.
    theirs = {w.name: w for w in getattr(peers, enum) if w.meta["categories"]}
    ours = {w.name: w for w in find_model(name).weights}
    assert ours.keys() == theirs.keys()
    for weights, w in ours.items():
        peer, preset = theirs[weights], theirs[weights].transforms()
        assert w.url == peer.url and w.url.endswith(f"-{w.sha256}.pth") and len(w.sha256) == 8
        assert list(w.classes) == peer.meta["categories"]
        assert w.metric == peer.meta["_metrics"]["ImageNet-1K"]
        preprocessing = {**Classifier.preprocessing, **w.preprocessing}
        assert [preprocessing["resize"]] == preset.resize_size
        assert [preprocessing["crop"]] == preset.crop_size
        assert list(preprocessing["mean"]) == preset.mean
        assert list(preprocessing["std"]) == preset.std
        assert preprocessing["interpolation"] == preset.interpolation.value
