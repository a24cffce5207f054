"""The loss network against torchvision's layers; frozen; what cannot be."""

import pytest
import torch
import torchvision
from torch import nn

import fastcv
from fastcv.nn.backbones.loss_network import LossNetwork
from fastcv.nn.backbones.vgg import VGGTrunk

# torchvision's features: the place of each ReLU, counted by hand from the paper's table 1.
PLACES = {"relu1_1": 1, "relu1_2": 3, "relu2_2": 8, "relu3_3": 15, "relu4_3": 22, "relu5_1": 25}


def small(**options):
    torch.manual_seed(0)
    return LossNetwork(VGGTrunk(16, width=2), **options)


def test_names_are_those_of_torchvisions_layers():
    torch.manual_seed(0)
    trunk = VGGTrunk(16)
    network = LossNetwork(trunk)
    with torch.device("meta"):
        peer = torchvision.models.vgg16(weights=None).features
    peer.load_state_dict(network.features.state_dict(), assign=True)
    pictures = torch.rand(1, 3, 32, 48)
    found = network(pictures, PLACES)
    assert list(found) == list(PLACES)
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    with torch.no_grad():
        for name, place in PLACES.items():
            assert isinstance(peer[place], nn.ReLU)
            want = peer[: place + 1]((pictures - mean) / std)
            torch.testing.assert_close(found[name], want)


def test_the_names():
    counts = {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}
    names = tuple(f"relu{s}_{i}" for s, n in counts.items() for i in range(1, n + 1))
    assert small().names == names


def test_average_pooling_by_hand():
    network = small(average_pool=True)
    pictures = torch.rand(1, 3, 8, 8)
    found = network(pictures, ["relu1_2", "relu2_1"])
    halved = found["relu1_2"].unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    torch.testing.assert_close(found["relu2_1"], network.features[5](halved).relu())


@pytest.mark.parametrize("average_pool", [False, True])
def test_optimized_it_sees_the_same(average_pool):
    network = small(average_pool=average_pool)
    fast, pictures = fastcv.optimize(network), torch.rand(1, 3, 32, 40)
    expected, found = (n(pictures, network.names) for n in (network, fast))
    for name in network.names:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-6)


def test_it_is_frozen():
    network = small().train()
    assert not any(module.training for module in network.modules())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    pictures = torch.rand(1, 3, 16, 16, requires_grad=True)
    network(pictures, ["relu5_3"])["relu5_3"].sum().backward()
    assert pictures.grad.abs().sum() > 0
    assert not any("mean" in key or "std" in key for key in network.state_dict())


def test_random_weights_are_the_same_each_time_and_draw_no_numbers():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = LossNetwork()
    assert torch.equal(torch.rand(3), expected)
    second = LossNetwork()
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("name", "side"), [("relu1_2", 1), ("relu2_1", 2), ("relu5_3", 16)])
def test_the_smallest_pictures(name, side):
    network = small()
    assert network.smallest([name, "relu1_1"]) == side
    assert network(torch.rand(1, 3, side, side), [name])[name].shape[2:] == (1, 1)
    if side > 1:
        with pytest.raises(ValueError, match=f"at least {side} x {side} pixels .* got {side - 1}"):
            network(torch.rand(1, 3, side - 1, 40), [name])


def test_what_cannot_be():
    network = small()
    for wrong in ("relu6_1", "conv1_1", "relu1_3", ""):
        with pytest.raises(ValueError, match=f"layers must be of relu1_1, .* got '{wrong}'"):
            network(torch.rand(1, 3, 32, 32), ["relu1_1", wrong])
    for wrong in (torch.rand(3, 32, 32), torch.rand(1, 1, 32, 32)):
        with pytest.raises(ValueError, match=r"pictures must be \[B, 3, H, W\]"):
            network(wrong, ["relu1_1"])
    with pytest.raises(ValueError, match="trunk must be a VGG without batch norm"):
        LossNetwork(VGGTrunk(11, batch_norm=True, width=2))
    assert network(torch.rand(1, 3, 4, 4), []) == {}
