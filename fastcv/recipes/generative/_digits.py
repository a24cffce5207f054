"""What the recipes of generated digits share: the pictures, a reader that judges, the training."""

from __future__ import annotations

import functools
import math
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fastcv.learn import fit
from fastcv.metrics import diversity, frechet_distance
from fastcv.models import save_model
from fastcv.models._mode import evaluating
from fastcv.models.generative._generator import Generator
from fastcv.models.generative.gan import GAN
from fastcv.recipes._recipe import NO_WEIGHTS, Level, Recipe, Run
from fastcv.recipes.learn._small import (
    SCAN,
    SmallResNet,
    classifier_of_scans,
    scanned_digits,
    small_classifier,
)

SIZE, WIDTH, LATENT = SCAN, 32, 64  # pixels, channels at half of them, random numbers
SAMPLES = 500  # that are measured
READER_EPOCHS = 8
NOISE = 0.2


def build_reader() -> SmallResNet:
    """A classifier of scanned digits with random weights."""
    return classifier_of_scans(16)


@functools.cache
def reader() -> SmallResNet:
    """A classifier of scanned digits, 98 % right, trained on the first use: half a minute."""
    torch.manual_seed(0)
    model = build_reader()
    schedule = small_classifier(model, "cpu", lr=5e-3, batch_size=32)
    # Whoever asks first may be measuring, without gradients.
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode(False), torch.enable_grad():
        fit(
            model, scanned_digits("train"), epochs=READER_EPOCHS, out=folder, devices="cpu",
            progress=False, tensorboard=False, **schedule,
        )  # fmt: skip
    return model


def read(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """What the reader makes of pictures ``[N, 3, 16, 16]`` in [0, 1]: its features before the last
    layer ``[N, 64]``, and the digits ``[N]``."""
    model = reader().to(pictures.device)
    with evaluating(model), torch.inference_mode():
        batch = model.prepare(list(pictures))
        features = model.blocks(model.stem(batch)).mean(dim=(2, 3))
        return features, model.fc(features).argmax(dim=1)


@functools.cache
def real_features(split: str) -> Tensor:
    """The reader's features of a split's digits."""
    return read(scanned_digits(split).images)[0]


def fd_digits(pictures: Tensor) -> float:
    """The Fréchet distance of the reader's features to those of the training digits."""
    return frechet_distance(read(pictures)[0].cpu(), real_features("train"))


def evenness(digits: Tensor) -> float:
    """1 where all ten digits are equally frequent, 0 where there is but one: their entropy over
    the greatest."""
    shares = torch.bincount(digits.cpu(), minlength=10).double() / len(digits)
    return float(torch.special.entr(shares).sum()) / math.log(10)


def judge(generator: Generator) -> dict[str, float]:
    """What the reader finds in 500 samples.

    FD-digits of 500 digits that nobody trained on is 0.9, of random pixels 80. Diversity is
    relative to that of real digits. Of a conditional generator also the share of samples that are
    read as the digit that was asked for, and the diversity of samples of the same digit.
    """
    made = generator.sample(SAMPLES, batch_size=250)
    features, digits = read(made.pictures)
    found = {
        "FD-digits": fd_digits(made.pictures),
        "diversity": diversity(features.cpu()) / diversity(real_features("train")),
        "evenness": evenness(digits),
    }
    if made.labels is not None:
        found["asked digit"] = float((digits == made.labels).double().mean())
        real = torch.tensor(scanned_digits("train").labels)
        found["diversity of a digit"] = diversity_of_a_digit(
            features.cpu(), made.labels.cpu()
        ) / diversity_of_a_digit(real_features("train"), real)
    return found


def diversity_of_a_digit(features: Tensor, digits: Tensor) -> float:
    """The mean of the ten digits' diversities."""
    return sum(diversity(features[digits == digit]) for digit in range(10)) / 10


def sheet(gan: GAN) -> Tensor:
    """A hundred samples, of the same random numbers each time; of digits that are asked for each
    has its row."""
    generator: Any = gan.generator
    asked = torch.arange(100) // 10 if generator.classes else None
    return generator.sample(100, labels=asked, batch_size=100).pictures


class ThroughNoise(nn.Module):
    """A discriminator that sees all pictures through noise of a deviation of 0.2 (black is -1,
    white 1).

    Scans that were enlarged are smooth, and ground is exactly black: that alone gives samples away,
    and a discriminator which goes by it does not tell the generator what digits look like.

    Source: Sønderby et al., "Amortised MAP Inference for Image Super-resolution" (2017), section
        3.3; Arjovsky and Bottou, "Towards Principled Methods for Training GANs" (2017).
    """

    def __init__(self, discriminator: nn.Module) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, pictures: Tensor, *condition: Tensor) -> Tensor:
        scores: Tensor = self.discriminator(
            pictures + NOISE * torch.randn_like(pictures), *condition
        )
        return scores


def adversarial(model: Any, device: str) -> dict[str, Any]:
    """The schedule of both players: the paper's Adam, and the mean of the weights."""
    adam = partial(torch.optim.Adam, lr=5e-4, betas=(0.5, 0.999))
    return {
        "batch_size": 32,
        "optimizer": {"discriminator": adam, "generator": adam},
        "ema_decay": 0.995,
        "evaluate": lambda gan, _: judge(gan.generator),
        "samples": sheet,
    }


def learn_against(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Trains the generator against a discriminator, keeps it alone, and judges it."""
    reader()
    torch.manual_seed(run.seed)
    generator: Any = recipe.build()
    start = judge(generator)["FD-digits"]
    gan = generator.gan()
    gan.discriminator = ThroughNoise(gan.discriminator)
    run.fit(gan, recipe.data["train"](), "gan", **recipe.schedule(gan, run.device))
    weights = run.out / f"{recipe.name}.safetensors"
    save_model(weights, generator, half=True)
    return recipe.evaluate(weights, device=run.device) | {"FD-digits at the start": start}


def recipe_of_digits(name: str, summary: str, build: Callable[[], Any], level: Level) -> Recipe:
    """The recipe of a generator of digits."""
    return Recipe(
        name=name,
        summary=summary,
        data={part: partial(scanned_digits, part) for part in ("train", "test")},
        build=build,
        epochs=50,
        schedule=adversarial,
        metrics=lambda model, test: judge(model),
        level=level,
        stages=learn_against,
        no_weights=NO_WEIGHTS.format(f"{name}.safetensors") + " as weights",
    )
