"""DCGAN learns handwritten digits of 16 x 16 pixels; nobody says which digit is which.

A run has ``gan/`` with a sheet of samples for each epoch, and ``digits_gan.safetensors``, the
generator.
"""

from fastcv.models import Model, create_model
from fastcv.recipes._recipe import Level
from fastcv.recipes.generative._digits import LATENT, SIZE, WIDTH, recipe_of_digits


def build() -> Model:
    """The generator, with random weights."""
    return create_model("dcgan_64", size=SIZE, width=WIDTH, latent_size=LATENT)


RECIPE = recipe_of_digits(
    "digits_gan",
    "a small DCGAN on handwritten digits",
    build,
    Level(
        {"FD-digits": 7.77, "diversity": 0.735, "evenness": 0.978},
        "500 samples, judged by a classifier of the same digits",
        "seed 0, one run",
        "2026-12-01",
    ),
)
train, evaluate = RECIPE.train, RECIPE.evaluate
