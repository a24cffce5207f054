"""Colours for grey scenes of a digit: by the mean squared error, and by a discriminator.

A digit's colour cannot be told from its grey. The squared error is least for the mean of all
colours that it may have, which is grey; a discriminator asks for one of them.

A run has ``MSE/`` and ``GAN/``, the weights of each, and ``digits_colours.png``: grey, MSE, GAN,
truth.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from fastcv.images import grey
from fastcv.models import Model, create_model, save_model
from fastcv.models.generative._patch_discriminator import PatchDiscriminator
from fastcv.recipes._recipe import NO_WEIGHTS, Level, Recipe, Run
from fastcv.recipes.generative._scenes import (
    DigitScenes,
    chroma,
    few_steps,
    sheets,
    translated,
    write_rows,
)

WIDTH = 8  # channels of the U-Net's first level
L1_WEIGHT = 10.0  # of the GAN: with the paper's 100 the median, grey as well, would win
SHOWN = 8


def build() -> Model:
    """The generator, from one channel to three, with random weights."""
    return create_model("pix2pix_unet64", width=WIDTH, in_channels=1)


class Regression(Model):
    """A generator that learns by the mean squared error alone."""

    def __init__(self, generator: Any) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, images: Tensor) -> Tensor:
        """Pictures ``[B, 3, H, W]`` in [-1, 1] of grey ones ``[B, 1, H, W]`` in [0, 1]."""
        made: Tensor = self.generator(images * 2 - 1)
        return made

    def loss(self, output: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The squared error to pictures in [0, 1]."""
        return {"mse": (output - (targets * 2 - 1)).square().mean()}


def two(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Trains the U-Net by each loss, from the same weights, and measures both."""
    found: dict[str, Any] = {}
    data, test = recipe.data["train"](), recipe.data["test"]()
    columns = [test.sources[:SHOWN] / 255]
    for name in ("MSE", "GAN"):
        torch.manual_seed(run.seed)
        generator: Any = recipe.build()
        judge = PatchDiscriminator(4, width=2 * WIDTH, layers=2)
        gan = generator.gan(judge, l1_weight=L1_WEIGHT)
        system = gan if name == "GAN" else Regression(generator)
        options = recipe.schedule(system, run.device)
        run.fit(system, data, name, samples=sheets(generator, test.sources), **options)
        file = (
            f"{recipe.name}.safetensors" if name == "GAN" else f"{recipe.name}_{name}.safetensors"
        )
        save_model(run.out / file, generator, half=True)
        measured = recipe.metrics(generator, test)
        found |= {f"{name} {key}": value for key, value in measured.items()}
        columns.append(translated(generator, test.sources[:SHOWN]))
    columns.append(test.scenes[:SHOWN] / 255)
    write_rows(run.out / f"{recipe.name}.png", list(zip(*columns, strict=True)))
    return found


def measure(model: Any, test: DigitScenes) -> dict[str, float]:
    """The root of the mean squared error; the digits' colour as a share of the truth's."""
    made, truth = translated(model, test.sources), test.scenes / 255
    on_digits = (chroma(pictures)[test.masks].mean() for pictures in (made, truth))
    return {
        "error": (made - truth).square().mean().sqrt().item(),
        "chroma": torch.div(*on_digits).item(),
    }


RECIPE = Recipe(
    name="digits_colours",
    summary="colours for grey scenes of a digit: MSE greys, a GAN chooses",
    data={
        "train": partial(DigitScenes, "train", 1200, grey),
        "test": partial(DigitScenes, "test", 200, grey),
    },
    build=build,
    epochs=4,
    schedule=few_steps,
    metrics=measure,
    level=Level(
        {"MSE error": 0.126, "MSE chroma": 0.435, "GAN error": 0.138, "GAN chroma": 0.816},
        "200 scenes whose handwriting and photographs it never saw",
        "seed 0, one run",
        "2026-12-01",
    ),
    stages=two,
    no_weights=NO_WEIGHTS.format("digits_colours.safetensors") + " as weights",
)
train, evaluate = RECIPE.train, RECIPE.evaluate
