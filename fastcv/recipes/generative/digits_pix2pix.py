"""pix2pix on small scenes: from the edges of a digit on a photograph to the photograph.

Three trainings of one U-Net: by the distance to the truth alone (L1), by the discriminator alone
(cGAN), and by both. L1 is nearest and blurred. Both together are sharp. For the discriminator
alone the steps are too few.

A run has ``L1/``, ``cGAN/`` and ``both/``, the weights of each, and ``digits_pix2pix.png``: edges,
L1, cGAN, both, truth.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from fastcv.models import Model, create_model, save_model
from fastcv.models.generative._patch_discriminator import PatchDiscriminator
from fastcv.recipes._recipe import NO_WEIGHTS, Level, Recipe, Run
from fastcv.recipes.generative._scenes import (
    DigitScenes,
    digits_read,
    edges,
    few_steps,
    sharpness,
    sheets,
    translated,
    write_rows,
)

WIDTH, JUDGE_WIDTH = 6, 16  # channels of the first layers
LOSSES: dict[str, dict[str, float]] = {
    "L1": {"adversarial_weight": 0.0},
    "cGAN": {"l1_weight": 0.0},
    "both": {},
}
SHOWN = 8


def build() -> Model:
    """The generator, with random weights."""
    return create_model("pix2pix_unet64", width=WIDTH)


def three(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Trains the U-Net by each loss, from the same weights, and measures all three."""
    found: dict[str, Any] = {}
    data, test = recipe.data["train"](), recipe.data["test"]()
    columns = [test.sources[:SHOWN] / 255]
    for name, weights in LOSSES.items():
        torch.manual_seed(run.seed)
        generator: Any = recipe.build()
        judge = PatchDiscriminator(6, width=JUDGE_WIDTH, layers=2)
        system = generator.gan(judge, **weights)
        options = recipe.schedule(system, run.device)
        run.fit(system, data, name, samples=sheets(generator, test.sources), **options)
        file = recipe.name if name == "both" else f"{recipe.name}_{name}"
        save_model(run.out / f"{file}.safetensors", generator, half=True)
        measured = recipe.metrics(generator, test)
        found |= {f"{name} {key}": value for key, value in measured.items()}
        columns.append(translated(generator, test.sources[:SHOWN]))
    columns.append(test.scenes[:SHOWN] / 255)
    write_rows(run.out / f"{recipe.name}.png", list(zip(*columns, strict=True)))
    return found


def measure(model: Any, test: DigitScenes) -> dict[str, float]:
    """Mean distance to the truth, sharpness as a share of the truth's, and digits read back."""
    made, truth = translated(model, test.sources), test.scenes / 255
    return {
        "error": (made - truth).abs().mean().item(),
        "sharpness": (sharpness(made).mean() / sharpness(truth).mean()).item(),
        "digits": _share(digits_read(made), test.labels),
    }


def _share(read: Tensor, labels: Tensor) -> float:
    return (read == labels).double().mean().item()


RECIPE = Recipe(
    name="digits_pix2pix",
    summary="pix2pix from edges to scenes of a digit: L1, cGAN, and both",
    data={
        "train": partial(DigitScenes, "train", 1200, edges),
        "test": partial(DigitScenes, "test", 200, edges),
    },
    build=build,
    epochs=6,
    schedule=few_steps,
    metrics=measure,
    level=Level(
        {
            "L1 error": 0.186,
            "L1 sharpness": 0.413,
            "L1 digits": 0.075,
            "cGAN error": 0.258,
            "both error": 0.231,
            "both sharpness": 0.962,
            "both digits": 0.410,
        },
        "200 scenes whose handwriting and photographs it never saw",
        "seed 0, one run",
        "2026-12-01",
    ),
    stages=three,
    no_weights=NO_WEIGHTS.format("digits_pix2pix.safetensors") + " as weights",
)
train, evaluate = RECIPE.train, RECIPE.evaluate
