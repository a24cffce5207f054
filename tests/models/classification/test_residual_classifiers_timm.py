"""SENet, Xception, EfficientNet against timm's: keys, logits, gradients, published weights."""

import pytest
import timm
import torch
from torch.nn import functional as F

from fastcv.models import create_model
from fastcv.models._registry import find_model
from fastcv.models.classification import senet

LEGACY = ("legacy_seresnet50", "legacy_seresnet101", "legacy_senet154", "legacy_xception")


@pytest.mark.parametrize("name", LEGACY)
def test_keys_and_shapes(name):
    with torch.device("meta"):
        ours, peer = create_model(name), timm.create_model(name)
    expected = {k: v.shape for k, v in peer.state_dict().items()}
    assert {k: v.shape for k, v in ours.state_dict().items()} == expected


@pytest.mark.parametrize(
    ("name", "options"),
    [
        # timm has SENet-154's dropout in all of them.
        ("legacy_seresnet50", {"layers": (1, 2, 1, 1), "drop_rate": 0.0}),
        ("legacy_senet154", {"layers": (1, 2, 1, 1)}),
        ("legacy_xception", {}),
    ],
)
def test_same_logits_and_gradients(name, options, monkeypatch):
    torch.manual_seed(0)
    peer = timm.create_model(name, num_classes=7, **options)
    for depth in senet.LAYERS:  # a block of each kind is enough
        monkeypatch.setitem(senet.LAYERS, depth, options.get("layers"))
    ours = create_model(name, num_classes=7)
    ours.load_state_dict(peer.state_dict())
    x, labels = torch.randn(2, 3, 64, 64), torch.tensor([1, 6])
    torch.manual_seed(1)  # the same dropout
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


@pytest.mark.parametrize("name", ["efficientnet_b0", "efficientnet_b3", "efficientnet_b7"])
def test_efficientnets_keys_are_renamed(name):
    with torch.device("meta"):
        ours, peer = create_model(name), timm.create_model(name)
    expected = {ours.rename_key(k): v.shape for k, v in peer.state_dict().items()}
    assert {k: v.shape for k, v in ours.state_dict().items()} == expected


def test_efficientnet_loads_timms_and_says_the_same():
    torch.manual_seed(0)
    peer = timm.create_model("efficientnet_b0", num_classes=7).eval()
    ours = create_model("efficientnet_b0", num_classes=7).eval()
    ours.load_state_dict(peer.state_dict())
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(ours(x), peer(x), rtol=1e-4, atol=1e-4)


def test_lite0_against_timms():
    torch.manual_seed(0)
    peer = timm.create_model("tf_efficientnet_lite0", num_classes=7)
    ours = create_model("efficientnet_lite0", num_classes=7, stochastic_depth=0.0)
    ours.load_state_dict(peer.state_dict())
    assert len(ours.state_dict()) == len(peer.state_dict())
    x, labels = torch.randn(2, 3, 64, 70), torch.tensor([1, 6])
    peer, ours, x = peer.double(), ours.double(), x.double()  # norms over 2 x 2 x 3 values
    ours.classifier[0].p = 0.0
    logits, expected = ours(x), peer(x)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    ours.loss(logits, labels)["cross_entropy"].backward()
    F.cross_entropy(expected, labels).backward()
    for key, parameter in peer.named_parameters():
        difference = (ours.get_parameter(ours.rename_key(key)).grad - parameter.grad).abs().max()
        assert difference <= 1e-4 * parameter.grad.abs().max(), key
    peer.eval(), ours.eval()
    # Their norms gather statistics faster than the paper's, which ours has.
    ours.load_state_dict(peer.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(ours(x), peer(x), rtol=1e-4, atol=1e-4)


def test_what_is_known_of_lite0s_weights():
    (ours,) = find_model("efficientnet_lite0").weights
    theirs = timm.get_pretrained_cfg(f"tf_efficientnet_lite0.{ours.name}")
    assert ours.url == theirs.url and ours.sha256 in ours.url
    assert ours.licence.lower() == theirs.license
    with torch.device("meta"):
        preprocessing = {**create_model("efficientnet_lite0").preprocessing, **ours.preprocessing}
    assert preprocessing["crop"] == theirs.input_size[-1]
    assert preprocessing["resize"] == int(theirs.input_size[-1] / theirs.crop_pct)
    assert (preprocessing["mean"], preprocessing["std"]) == (theirs.mean, theirs.std)
    assert preprocessing["interpolation"] == theirs.interpolation


def test_xception_loads_cadenes_name_of_the_last_layer():
    model = create_model("xception", num_classes=7)
    state = {k.replace("fc.", "last_linear."): v + 1 for k, v in model.state_dict().items()}
    model.load_state_dict(state)
    torch.testing.assert_close(model.fc.bias, state["last_linear.bias"])


@pytest.mark.parametrize("name", LEGACY)
def test_what_is_known_of_the_weights(name):
    (ours,) = find_model(name).weights
    theirs = timm.get_pretrained_cfg(f"{name}.{ours.name}")
    assert ours.url == theirs.url and ours.sha256 in ours.url
    assert ours.licence.lower() == theirs.license
    assert len(ours.classes) == theirs.num_classes
    with torch.device("meta"):
        preprocessing = {**create_model(name).preprocessing, **ours.preprocessing}
    assert preprocessing["crop"] == theirs.input_size[-1]
    assert preprocessing["resize"] == int(theirs.input_size[-1] / theirs.crop_pct)
    assert (preprocessing["mean"], preprocessing["std"]) == (theirs.mean, theirs.std)
    assert preprocessing["interpolation"] == theirs.interpolation
    other = name.replace("legacy_se", "se_").replace("se_net", "senet").replace("legacy_", "")
    assert find_model(other).weights == (ours,)
