"""Gatys's way: every layer's content and style is reconstructed; options, interrupts, sentences."""

import copy
import os
import signal

import pytest
import torch

import fastcv
from fastcv.models.generative.gatys import Stylized, stylize
from fastcv.nn.backbones.loss_network import LossNetwork
from fastcv.nn.backbones.vgg import VGGTrunk
from fastcv.nn.losses.perceptual import PerceptualLoss

CONTENT_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
STYLE_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return LossNetwork(VGGTrunk(16, width=16))


@pytest.fixture(scope="module")
def smooth():
    """Of the largest of four values the other three cannot be told; of their mean something can."""
    torch.manual_seed(0)
    return LossNetwork(VGGTrunk(16, width=16), average_pool=True)


def picture(*size, seed=0):
    """Blocks of colour: a photograph has areas, and white noise has none."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, *[-(-side // 6) for side in size], generator=random)
    return torch.nn.functional.interpolate(coarse, size, mode="nearest")[0]


@pytest.mark.parametrize("layer", CONTENT_LAYERS)
def test_feature_reconstruction_falls_a_hundredfold(smooth, layer):
    made = stylize(
        picture(24, 24), None, loss_weights=smooth, content_layers=[layer], steps=160, device="cpu"
    )
    assert made.losses.min() < made.losses[0] / 100


@pytest.mark.parametrize("layer", STYLE_LAYERS)
def test_style_reconstruction_falls_a_hundredfold(smooth, layer):
    made = stylize(
        None, picture(24, 24), loss_weights=smooth, style_layers=[layer], steps=80, device="cpu"
    )
    assert made.losses.min() < made.losses[0] / 100
    assert made.image_size == (24, 24)


def test_the_loss_is_the_definitions(network):
    content, style = picture(24, 32), picture(24, 30, seed=1)
    made = stylize(
        content, style, loss_weights=network, steps=5, style_weight=3.0, tv_weight=0.5,
        content_layers=["relu3_1"], style_layers=["relu1_1", "relu2_1"], device="cpu",
    )  # fmt: skip
    loss = PerceptualLoss(
        network, content={"relu3_1": 1.0}, style={"relu1_1": 1.5, "relu2_1": 1.5},
        style_picture=style, tv=0.5, relative=True,
    )  # fmt: skip
    first = sum(loss(content[None], content[None]).values())
    torch.testing.assert_close(made.losses[0], first)
    assert isinstance(made, Stylized) and len(made.losses) == 5 and not made.was_stopped
    assert made.pictures.min() >= 0 and made.pictures.max() <= 1


def test_more_weight_is_more_style(network):
    content, style = picture(32, 32), picture(32, 32, seed=1)
    loss = PerceptualLoss(
        network, content={"relu4_2": 1.0}, style={"relu2_1": 1.0}, style_picture=style,
        relative=True,
    )  # fmt: skip
    found = []
    for weight in (0.01, 100.0):
        made = stylize(
            content, style, loss_weights=network, style_layers=["relu2_1"], style_weight=weight,
            steps=40, device="cpu",
        )  # fmt: skip
        found.append(loss(made.pictures, content[None]))
    assert found[1]["style"] < found[0]["style"] / 2 and found[1]["content"] > found[0]["content"]


def test_the_same_again_and_from_noise(network):
    content, style = picture(16, 24), picture(16, 24, seed=1)

    def run(**options):
        options = {"loss_weights": network, "steps": 3, "device": "cpu", **options}
        return stylize(content, style, **options).pictures

    assert torch.equal(run(), run())
    noisy = run(start="noise", seed=1)
    assert torch.equal(noisy, run(start="noise", seed=1))
    assert not torch.equal(noisy, run(start="noise", seed=2))
    assert (run() - content).abs().mean() < (noisy - content).abs().mean()
    torch.manual_seed(4)
    expected = torch.rand(2)
    torch.manual_seed(4)
    run(start="noise")
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(
    ("content", "style", "size", "found"),
    [
        ((40, 60), (20, 30), 30, (20, 30)),
        ((20, 30), (90, 45), 64, (20, 30)),
        ((20, 30), (90, 45), None, (20, 30)),
        (None, (64, 32), 32, (32, 16)),
    ],
)
def test_sizes(network, content, style, size, found):
    made = stylize(
        content and picture(*content), picture(*style), loss_weights=network, size=size, steps=1,
        content_layers=["relu2_1"], style_layers=["relu1_1", "relu2_1"], device="cpu",
    )  # fmt: skip
    assert made.image_size == found


def test_an_interrupt_returns_the_picture_so_far(network, monkeypatch):
    asked = []
    forward = LossNetwork.forward

    def stops(self, pictures, names):
        asked.append(True)
        if len(asked) == 9:
            os.kill(os.getpid(), signal.SIGINT)
        return forward(self, pictures, names)

    monkeypatch.setattr(LossNetwork, "forward", stops)
    # A shell's background job has another handler, which ignores it.
    handler = signal.getsignal(signal.SIGINT)
    content, style = picture(16, 16), picture(16, 16, seed=1)
    made = stylize(content, style, loss_weights=network, steps=50, device="cpu")
    assert made.was_stopped and 1 < len(made.losses) < 9
    assert not torch.equal(made.pictures[0], content)
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_network_in_another_memory_format(network):
    """Gradients of a channels_last network are channels_last: L-BFGS wants them in one piece."""
    photo, pattern = picture(24, 32), picture(32, 32, seed=1)
    layers = {"content_layers": ["relu2_2"], "style_layers": ["relu1_2", "relu2_2"]}
    plain = stylize(photo, pattern, loss_weights=network, steps=4, **layers)
    other = copy.deepcopy(network).to(memory_format=torch.channels_last)
    again = stylize(photo, pattern, loss_weights=other, steps=4, **layers)
    torch.testing.assert_close(again.losses, plain.losses, rtol=1e-3, atol=0)  # sums in other order


def test_the_best_is_kept(network):
    content, style = picture(32, 32), picture(32, 32, seed=1)
    options = {"style_layers": ["relu1_1", "relu2_1"], "content_layers": ["relu2_1"]}
    made = stylize(content, style, loss_weights=network, steps=25, device="cpu", **options)
    loss = PerceptualLoss(
        network, content={"relu2_1": 1.0}, style={"relu1_1": 10.0, "relu2_1": 10.0},
        style_picture=style, relative=True,
    )  # fmt: skip
    total = sum(loss(made.pictures, content[None]).values())
    assert total < made.losses[0] / 10  # and a little more than the least: colours are clipped


def test_result(network, tmp_path):
    made = stylize(picture(16, 16), picture(16, 16), loss_weights=network, steps=2, device="cpu")
    assert made.to_dict()["losses"] == made.losses.tolist()
    made.save(tmp_path / "a.png")
    assert fastcv.images.read_image(tmp_path / "a.png").shape == (3, 16, 16)
    assert fastcv.stylize is stylize


BIG, SMALL = picture(32, 32), picture(1, 1)


@pytest.mark.parametrize(
    ("arguments", "options", "sentence"),
    [
        ((None, None), {}, "content or style must be a picture, got None for both"),
        ((SMALL, BIG), {}, "content must have at least 16 x 16 pixels for its layers, got 1 x 1"),
        ((BIG, SMALL), {}, "style must have at least 16 x 16 pixels for its layers, got 1 x 1"),
        ((BIG, BIG), {"size": 8}, "content must have at least 16 x 16 pixels .* got 8 x 8"),
        ((BIG, BIG), {"steps": 0}, "steps must be at least 1, got 0"),
        ((BIG, BIG), {"size": 0}, "size must be at least 1, got 0"),
        ((BIG, BIG), {"style_weight": -1.0}, "style_weight must be 0 or more, got -1"),
        ((BIG, BIG), {"tv_weight": float("nan")}, "tv_weight must be 0 or more, got nan"),
        ((BIG, BIG), {"start": "style"}, "start must be 'content' or 'noise', got 'style'"),
        ((BIG, BIG), {"style_layers": ["relu7_1"]}, "layers must be of relu1_1, .* 'relu7_1'"),
        ((BIG, BIG), {"style_layers": [], "content_layers": []}, "content or style must name"),
        ((BIG / 0, BIG), {}, "content must be finite numbers, got NaN or infinity"),
        ((BIG, BIG), {"device": "gpu"}, "device must be cpu, cuda or cuda:N, got 'gpu'"),
    ],
)
def test_sentences(network, arguments, options, sentence):
    with pytest.raises(ValueError, match=sentence) as error:
        stylize(*arguments, loss_weights=network, **{"steps": 1, "device": "cpu", **options})
    assert "\n" not in str(error.value)
