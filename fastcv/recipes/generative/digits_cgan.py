"""A conditional GAN learns handwritten digits of 16 x 16 pixels, and makes those it is asked for.

A run has ``gan/`` with a sheet of samples for each epoch, and ``digits_cgan.safetensors``, the
generator.
"""

from fastcv.models import Model, create_model
from fastcv.recipes._recipe import Level
from fastcv.recipes.generative._digits import LATENT, SIZE, WIDTH, recipe_of_digits


def build() -> Model:
    """The generator, with random weights."""
    return create_model(
        "cgan", condition="concatenation", size=SIZE, width=WIDTH, latent_size=LATENT
    )


RECIPE = recipe_of_digits(
    "digits_cgan",
    "a small conditional GAN on handwritten digits: the asked digit is made",
    build,
    Level(
        {"asked digit": 0.974, "FD-digits": 0.796, "evenness": 0.9995},
        "500 samples, judged by a classifier of the same digits",
        "seed 0, one run",
        "2026-12-01",
    ),
)
train, evaluate = RECIPE.train, RECIPE.evaluate
