"""DCGAN: the counts and keys of pytorch/examples, its loss, and that it learns."""

import re
from functools import partial

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

import fastcv
from fastcv.learn import fit
from fastcv.models.generative.dcgan import DCGAN, DCGANDiscriminator


def layers_of(widths, norms):
    """The keys and shapes of pytorch/examples' ``nn.Sequential``s, written anew."""
    shapes = {}
    for i, shape in enumerate(widths):
        shapes[f"main.{norms['stride'][i]}.weight"] = shape
    for i, channels in norms["norms"].items():
        for name in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"main.{i}.{name}"] = (channels,)
        shapes[f"main.{i}.num_batches_tracked"] = ()
    return shapes


def test_keys_and_counts():
    generator, discriminator = DCGAN(), DCGANDiscriminator()
    expected = layers_of(
        [(100, 512, 4, 4), (512, 256, 4, 4), (256, 128, 4, 4), (128, 64, 4, 4), (64, 3, 4, 4)],
        {"stride": (0, 3, 6, 9, 12), "norms": {1: 512, 4: 256, 7: 128, 10: 64}},
    )
    assert {key: tuple(t.shape) for key, t in generator.state_dict().items()} == expected
    expected = layers_of(
        [(64, 3, 4, 4), (128, 64, 4, 4), (256, 128, 4, 4), (512, 256, 4, 4), (1, 512, 4, 4)],
        {"stride": (0, 2, 5, 8, 11), "norms": {3: 128, 6: 256, 9: 512}},
    )
    assert {key: tuple(t.shape) for key, t in discriminator.state_dict().items()} == expected
    assert sum(p.numel() for p in generator.parameters()) == 3576704
    assert sum(p.numel() for p in discriminator.parameters()) == 2765568


def test_layers_by_hand():
    """Strides, paddings and activations: the networks of the paper's figure, as plain layers."""
    torch.manual_seed(0)
    up, down = partial(nn.ConvTranspose2d, bias=False), partial(nn.Conv2d, bias=False)
    g = nn.Sequential(
        up(6, 16, 4, 1, 0), nn.BatchNorm2d(16), nn.ReLU(),
        up(16, 8, 4, 2, 1), nn.BatchNorm2d(8), nn.ReLU(),
        up(8, 3, 4, 2, 1), nn.Tanh(),
    )  # fmt: skip
    d = nn.Sequential(
        down(3, 8, 4, 2, 1), nn.LeakyReLU(0.2),
        down(8, 16, 4, 2, 1), nn.BatchNorm2d(16), nn.LeakyReLU(0.2),
        down(16, 1, 4, 1, 0),
    )  # fmt: skip
    generator = DCGAN(size=16, latent_size=6, width=8)
    discriminator = DCGANDiscriminator(size=16, width=8)
    generator.main.load_state_dict(g.state_dict())
    discriminator.main.load_state_dict(d.state_dict())
    z = torch.randn(4, 6)
    pictures = generator(z)
    torch.testing.assert_close(pictures, g(z[:, :, None, None]))
    torch.testing.assert_close(generator(z[:, :, None, None]), pictures)
    torch.testing.assert_close(discriminator(pictures), d(pictures).view(4))


def test_weights_begin_small():
    torch.manual_seed(0)
    for network in (DCGAN(), DCGANDiscriminator()):
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                assert float(module.weight.std()) == pytest.approx(0.02, rel=0.1)
            if isinstance(module, nn.BatchNorm2d):
                assert float(module.weight.detach().mean()) == pytest.approx(1, abs=0.01)
                assert float(module.weight.detach().std()) == pytest.approx(0.02, rel=0.4)
                assert not module.bias.any()


def test_the_losses_are_cross_entropy():
    torch.manual_seed(0)
    gan = DCGAN(size=8, latent_size=5, width=4).gan()
    assert list(gan.players) == ["discriminator", "generator"]
    real = gan(torch.rand(6, 3, 8, 8))
    torch.manual_seed(3)
    terms = gan.loss(real, None, player="discriminator")
    torch.manual_seed(3)
    fake = gan.generator(torch.randn(6, 5))
    bce = nn.BCEWithLogitsLoss()
    assert list(terms) == ["real", "fake"]
    torch.testing.assert_close(terms["real"], bce(gan.discriminator(real), torch.ones(6)))
    torch.testing.assert_close(terms["fake"], bce(gan.discriminator(fake), torch.zeros(6)))
    torch.manual_seed(3)
    terms = gan.loss(real, None, player="generator")
    torch.testing.assert_close(terms["score"], bce(gan.discriminator(fake), torch.ones(6)))


@pytest.mark.parametrize("size", [0, 4, 12, 60, 100])
def test_other_sizes(size):
    with pytest.raises(ValueError, match=f"power of 2, got {size}"):
        DCGAN(size=size)


def test_other_latents():
    model = DCGAN(size=8, latent_size=5, width=4)
    for wrong in (torch.rand(5), torch.rand(2, 4), torch.rand(2, 5, 1), torch.rand(2, 5, 2, 2)):
        with pytest.raises(ValueError, match=r"latents must be \[B, 5\], got"):
            model(wrong)
    with pytest.raises(ValueError, match=re.escape("DCGAN has no classes, it takes no labels")):
        model.sample(2, labels=1)


OPTIONS = {
    "epochs": 2, "batch_size": 4, "devices": "cpu", "progress": False, "tensorboard": False,
}  # fmt: skip


@pytest.fixture
def quick_curves(monkeypatch):
    monkeypatch.setattr("fastcv.learn.History.draw", lambda self, path: path.touch())


def train(folder, gan, **options):
    torch.manual_seed(1)
    pictures = torch.rand(8, 3, 8, 8)
    adam = partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))
    return fit(
        gan, TensorDataset(pictures, torch.zeros(8)), out=folder, **OPTIONS,
        optimizer={"discriminator": adam, "generator": adam}, **options,
    )  # fmt: skip


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_nan_stops_both_players_and_the_last_good_weights_stay(player, tmp_path, quick_curves):
    """In step 3, the first of the second epoch."""

    def make():
        torch.manual_seed(0)
        return fastcv.create_model("dcgan_64", size=8, latent_size=5, width=4).gan()

    gan = make()
    sound, turns = gan.loss, []

    def loss(output, targets, *, player):
        terms = sound(output, targets, player=player)
        turns.append(player)
        if player == broken and turns.count(player) == 3:
            terms = {name: term * float("nan") for name, term in terms.items()}
        return terms

    broken, gan.loss = player, loss
    with pytest.raises(ValueError, match=f"the loss term {player}/.* is nan in epoch 2, step 3"):
        train(tmp_path / "broken", gan)
    # What is left goes on to what would have been.
    again, whole = make(), make()
    train(tmp_path / "broken", again)
    train(tmp_path / "whole", whole)
    for key, value in whole.state_dict().items():
        assert value.isfinite().all()
        assert torch.equal(value, again.state_dict()[key]), key
