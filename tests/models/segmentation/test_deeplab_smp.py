"""DeepLab v3+ against segmentation_models_pytorch's: keys, outputs, gradients."""

import pytest
import segmentation_models_pytorch as smp
import torch
from torch.nn import functional as F

from fastcv.models import create_model

PEERS = {
    "deeplabv3plus_resnet50": "resnet50",
    "deeplabv3plus_resnet101": "resnet101",
    "deeplabv3plus_xception65": "tu-xception65",
}


def make_peer(name, **options):
    return smp.DeepLabV3Plus(PEERS[name], encoder_weights=None, **options)


@pytest.mark.parametrize("name", PEERS)
def test_keys_are_renamed(name):
    with torch.device("meta"):
        ours = create_model(name, separable=True)
        peer = make_peer(name, classes=21)
    expected = {ours.rename_key(key): value.shape for key, value in peer.state_dict().items()}
    assert {key: value.shape for key, value in ours.state_dict().items()} == expected


@pytest.mark.parametrize(
    ("name", "output_stride"),
    [
        ("deeplabv3plus_resnet50", 16),
        ("deeplabv3plus_resnet50", 8),
        pytest.param("deeplabv3plus_xception65", 16, marks=pytest.mark.slow),
        pytest.param("deeplabv3plus_xception65", 8, marks=pytest.mark.slow),
    ],
)
def test_same_outputs_and_gradients(name, output_stride):
    torch.manual_seed(0)
    # In double: behind a norm that follows, a bias's gradient is zero but for rounding.
    peer = make_peer(name, classes=5, encoder_output_stride=output_stride).double()
    ours = create_model(name, num_classes=5, separable=True, output_stride=output_stride).double()
    ours.load_state_dict(peer.state_dict())
    x, targets = torch.randn(2, 3, 64, 80).double(), torch.randint(0, 5, (2, 64, 80))
    torch.manual_seed(1)  # the same dropout
    logits = ours(x)
    torch.manual_seed(1)
    expected = peer(x)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    ours.loss(logits, targets)["cross_entropy"].backward()
    F.cross_entropy(expected, targets).backward()
    for key, parameter in peer.named_parameters():
        mine = ours.get_parameter(ours.rename_key(key)).grad
        difference = (mine - parameter.grad).abs().max()
        assert difference <= 1e-4 * parameter.grad.abs().max() + 1e-12, key
    with torch.no_grad():  # with the statistics that this step gathered
        torch.testing.assert_close(ours.eval()(x), peer.eval()(x), rtol=1e-4, atol=1e-4)
