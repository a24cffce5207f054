"""AlexNet, VGG and GoogLeNet against torchvision's: keys, logits, gradients, what is published."""

import pytest
import torch
import torchvision.models as peers
from torch import nn

from fastcv.models import create_model
from fastcv.models._registry import find_model
from fastcv.models.classification._classifier import Classifier

# Ours and theirs have the same names.
NAMES = {
    "alexnet": "AlexNet_Weights",
}


def with_few_units(model, units=32):
    """Narrow fully connected layers: a hundred million weights would say nothing more."""
    if isinstance(getattr(model, "classifier", None), nn.Sequential):
        inputs = None
        for i, layer in enumerate(model.classifier):
            if isinstance(layer, nn.Linear):
                outputs = min(layer.out_features, units)
                model.classifier[i] = nn.Linear(inputs or layer.in_features, outputs)
                inputs = outputs
    return model


@pytest.mark.parametrize("name", NAMES)
def test_keys_and_shapes(name):
    with torch.device("meta"):
        ours, peer = create_model(name), getattr(peers, name)()
    wanted = {k: v.shape for k, v in peer.state_dict().items()}
    assert {k: v.shape for k, v in ours.state_dict().items()} == wanted


@pytest.mark.parametrize("name", NAMES)
def test_same_logits_and_gradients(name):
    torch.manual_seed(0)
    peer = with_few_units(getattr(peers, name)(num_classes=7, dropout=0))
    ours = with_few_units(create_model(name, num_classes=7, dropout=0))
    ours.load_state_dict(peer.state_dict())
    x, labels = torch.randn(2, 3, 64, 80), torch.tensor([1, 6])
    logits, wanted = ours(x), peer(x)
    torch.testing.assert_close(logits, wanted, rtol=1e-4, atol=1e-4)
    sum(ours.loss(logits, labels).values()).backward()
    nn.functional.cross_entropy(wanted, labels).backward()
    for key, parameter in peer.named_parameters():
        torch.testing.assert_close(
            ours.get_parameter(key).grad,
            parameter.grad,
            rtol=1e-3,
            atol=1e-4 * float(parameter.grad.abs().max()),
            msg=key,
        )
    ours.eval(), peer.eval()  # with the statistics that this step gathered
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
