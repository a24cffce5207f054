"""Perceptual losses from their definitions, on torch's own products and means."""

import itertools

import pytest
import torch

from fastcv.nn.backbones.loss_network import LossNetwork
from fastcv.nn.backbones.vgg import VGGTrunk
from fastcv.nn.losses.perceptual import PerceptualLoss, total_variation

CONTENT = {"relu2_2": 3.0}
STYLE = {"relu1_2": 0.5, "relu3_3": 7.0}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return LossNetwork(VGGTrunk(16, width=4))


def gram(x):
    """Johnson's equation 3, pair by pair of channels."""
    b, c, h, w = x.shape
    found = torch.zeros(b, c, c, dtype=x.dtype)
    for i, j in itertools.product(range(c), range(c)):
        found[:, i, j] = (x[:, i] * x[:, j]).sum((1, 2)) / (c * h * w)
    return found


@pytest.mark.parametrize("relative", [False, True])
def test_terms_by_hand(network, relative):
    style = torch.rand(3, 20, 28)
    made, wanted = torch.rand(2, 2, 3, 24, 16)
    loss = PerceptualLoss(
        network, content=CONTENT, style=STYLE, style_picture=style, tv=2.0, relative=relative
    )
    terms = loss(made, wanted)
    assert list(terms) == ["content", "style", "tv"]
    with torch.no_grad():
        seen, due = (network(x, ["relu2_2"])["relu2_2"] for x in (made, wanted))
        expected = 3 * (seen - due).square().mean() / (due.square().mean() if relative else 1)
        torch.testing.assert_close(terms["content"], expected)
        expected = 0
        for name, weight in STYLE.items():
            seen, due = (gram(network(x, [name])[name]) for x in (made, style[None]))
            scale = due.square().mean() if relative else 1
            expected += weight * (seen - due).square().mean() / scale
        torch.testing.assert_close(terms["style"], expected, rtol=1e-4, atol=0)
    torch.testing.assert_close(terms["tv"], 2 * total_variation(made))


def test_what_is_wanted_costs_nothing(network):
    picture = torch.rand(3, 24, 24)
    loss = PerceptualLoss(network, content=CONTENT, style=STYLE, style_picture=picture)
    terms = loss(picture[None], picture[None])
    assert terms["content"] == 0 and terms["style"] < 1e-12


def test_gradients_reach_the_pictures_alone(network):
    loss = PerceptualLoss(
        network, content=CONTENT, style=STYLE, style_picture=torch.rand(3, 16, 16)
    )
    made = torch.rand(1, 3, 16, 16, requires_grad=True)
    wanted = torch.rand(1, 3, 16, 16, requires_grad=True)
    for term in loss(made, wanted).values():
        made.grad = None
        term.backward(retain_graph=True)
        assert made.grad.isfinite().all() and made.grad.abs().sum() > 0
    assert wanted.grad is None
    assert all(parameter.grad is None for parameter in loss.parameters())
    assert not any("gram" in key for key in loss.state_dict())


def test_the_gradient_is_that_of_differences(network):
    torch.manual_seed(1)
    double = LossNetwork(VGGTrunk(16, width=2)).double()
    loss = PerceptualLoss(double, content=CONTENT, style=STYLE, style_picture=torch.rand(3, 16, 16))
    made, wanted, way = torch.rand(3, 1, 3, 16, 16, dtype=torch.float64)

    def total(x):
        return sum(loss.double()(x, wanted).values())

    made.requires_grad_()
    total(made).backward()
    step = 1e-6
    with torch.no_grad():
        slope = (total(made + step * way) - total(made - step * way)) / (2 * step)
    torch.testing.assert_close((made.grad * way).sum(), slope, rtol=1e-4, atol=1e-10)


def test_a_black_target_does_not_divide_by_nothing():
    silent = LossNetwork(VGGTrunk(16, width=2))
    for parameter in silent.parameters():
        parameter.zero_()
    loss = PerceptualLoss(
        silent, content=CONTENT, style=STYLE, style_picture=torch.rand(3, 16, 16), relative=True
    )
    terms = loss(*torch.rand(2, 1, 3, 16, 16))
    assert all(term == 0 for term in terms.values())


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 1), (3, 4)])
def test_total_variation_by_hand(size):
    height, width = size
    x = torch.rand(2, 3, height, width)
    expected = torch.tensor(0.0)
    if height > 1:
        expected += (x[:, :, 1:] - x[:, :, :-1]).abs().mean()
    if width > 1:
        expected += (x[..., 1:] - x[..., :-1]).abs().mean()
    torch.testing.assert_close(total_variation(x), expected)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, "content or style must name a layer, got none"),
        ({"content": {"relu9_1": 1.0}}, "content: there is no layer 'relu9_1': relu1_1, "),
        ({"style": {"conv1": 1.0}}, "style: there is no layer 'conv1'"),
        ({"style": {"relu1_1": 1.0}}, "style_picture is needed for the layers of style, got None"),
        (
            {"content": {"relu1_1": -1.0}},
            "content: the weight of relu1_1 must be 0 or more",
        ),
        ({"content": {"relu1_1": float("nan")}}, "must be 0 or more, got nan"),
        ({"content": {"relu1_1": 1.0}, "tv": -2.0}, "tv: the weight must be 0 or more, got -2"),
    ],
)
def test_wrong_options(network, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        PerceptualLoss(network, **options)


def test_wrong_pictures(network):
    loss = PerceptualLoss(network, content=CONTENT)
    made = torch.rand(1, 3, 16, 16)
    with pytest.raises(TypeError, match="targets must be a tensor, got NoneType"):
        loss(made)
    with pytest.raises(ValueError, match=r"targets must be \[1, 3, 16, 16\], got \[1, 3, 16, 8\]"):
        loss(made, made[..., :8])
    with pytest.raises(ValueError, match="pictures must have at least 2 x 2 pixels"):
        loss(made[..., :1], made[..., :1])
