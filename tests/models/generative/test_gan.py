"""The Wasserstein loss with its penalty, by hand; and that two players reach a known target."""

from functools import partial

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from fastcv.learn import fit
from fastcv.models.generative._generator import Generator
from fastcv.models.generative.gan import GAN


class Flat(Generator):
    """A picture of one colour, a linear function of two numbers."""

    latent_size = 2

    def __init__(self):
        super().__init__()
        self.colour = nn.Linear(2, 3)

    def forward(self, latents):
        return self.colour(latents)[:, :, None, None].expand(-1, -1, 2, 2)


class Score(nn.Module):
    """Half the sum of a picture's squares, times a weight; its gradient is the picture."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(1.5))

    def forward(self, pictures):
        return self.weight * pictures.square().flatten(1).sum(dim=1) / 2


def test_every_term_by_hand():
    torch.manual_seed(0)
    gan = GAN(Flat(), Score())
    images = torch.rand(6, 3, 2, 2)
    real = gan(images)
    torch.testing.assert_close(real, images * 2 - 1)
    torch.manual_seed(5)
    terms = gan.loss(real, None, player="discriminator")
    torch.manual_seed(5)
    z = torch.randn(6, 2)
    fake = gan.generator(z).detach()
    share = torch.rand(6, 1, 1, 1)
    score_real = 0.75 * real.square().sum((1, 2, 3))
    score_fake = 0.75 * fake.square().sum((1, 2, 3))
    between = share * real + (1 - share) * fake
    norm = 1.5 * between.square().sum((1, 2, 3)).sqrt()
    torch.testing.assert_close(terms["distance"], score_fake.mean() - score_real.mean())
    torch.testing.assert_close(terms["gradient_penalty"], 10 * (norm - 1).square().mean())
    torch.testing.assert_close(terms["drift"], 0.001 * score_real.square().mean())
    # The penalty's gradient by the weight: the second derivative is there.
    (slope,) = torch.autograd.grad(terms["gradient_penalty"], gan.discriminator.weight)
    expected = (20 * (norm - 1) * norm / 1.5).mean()
    torch.testing.assert_close(slope, expected)
    torch.manual_seed(5)
    terms = gan.loss(real, None, player="generator")
    torch.testing.assert_close(terms["score"], -score_fake.mean())


def test_the_discriminators_turn_leaves_the_generator_alone():
    gan = GAN(Flat(), Score())
    sum(gan.loss(gan(torch.rand(2, 3, 2, 2)), None, player="discriminator").values()).backward()
    assert all(p.grad is None for p in gan.generator.parameters())
    assert gan.discriminator.weight.grad is not None


def test_other_players():
    gan = GAN(Flat(), Score())
    with pytest.raises(ValueError, match="player must be one of discriminator, generator, got 'c'"):
        gan.loss(torch.rand(2, 3, 2, 2), None, player="c")


def test_learns_the_colours_of_pictures(tmp_path):
    """By fit: real pictures are orange, more or less, and soon the generator's are."""
    torch.manual_seed(0)
    orange = torch.tensor([0.9, 0.55, 0.2])
    colours = orange + 0.05 * torch.randn(256, 3)
    data = TensorDataset(colours[:, :, None, None].expand(-1, -1, 2, 2), torch.zeros(256))
    critic = nn.Sequential(
        nn.Flatten(), nn.Linear(12, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1), nn.Flatten(0)
    )
    gan = GAN(Flat(), critic)
    before = (gan.generator.sample(64).pictures.mean((0, 2, 3)) - orange).abs().max()
    adam = partial(torch.optim.Adam, lr=0.01, betas=(0.0, 0.99))
    history = fit(
        gan, data, epochs=25, batch_size=32,
        optimizer={"discriminator": adam, "generator": adam}, every={"generator": 2},
        out=tmp_path, devices="cpu", progress=False, tensorboard=False,
    )  # fmt: skip
    assert "discriminator/gradient_penalty" in history.steps[-1]
    after = (gan.generator.sample(64).pictures.mean((0, 2, 3)) - orange).abs().max()
    assert before > 0.25 and after < 0.1
