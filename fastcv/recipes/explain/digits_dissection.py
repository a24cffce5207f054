"""GAN dissection: a small ProGAN learns scenes of a digit on a texture; which units draw the digit?

Digits are bright and textures are dark, so brightness labels the pixels of a sample. Units whose
maps agree with the label are the digit's. Set to 0, the digit goes; set high inside a square, there
comes something bright. Nobody told the generator what a digit is.

A run has ``gan/``, and ``digits_dissection.safetensors``, the generator.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from fastcv._extras import need
from fastcv.data._drawn_page import turned
from fastcv.data._drawn_sources import glyphs
from fastcv.explain import Dissection, dissect, edit_units, unit_quantiles
from fastcv.models import Model, create_model, save_model
from fastcv.models.generative.progan import ProGAN
from fastcv.recipes._recipe import NO_WEIGHTS, Level, Recipe, Run

SIDE = 32  # pixels of a scene, along a side
TEXTURES = ("brick", "grass", "gravel")
HEIGHT, TURN = (19.0, 23.0), 8.0  # of a digit: pixels, and degrees to either side
LIGHT, INK = (0.25, 0.6), (0.8, 1.0)  # brightness of textures and digits, by channel
BRIGHT = 0.6  # the mean of a digit's channels is above it
CLASSES = ("background", "digit")

CHANNELS = (64, 64, 48, 24, 12)  # of the generator: a vector of 64, then 4 to 32 pixels
SAMPLES = 1000  # that are dissected
LAYER = "layer6"  # 24 units of 16 x 16 cells
QUANTILE = 0.9  # a digit is on an eighth of the pixels
MIN_IOU = 0.1
SQUARE = (slice(2, 14), slice(2, 14))  # rows and columns where somebody paints


class DigitsOnTextures(Dataset[tuple[Tensor, Tensor]]):
    """A bright handwritten digit on a darker crop of brick, grass or gravel, and its label map.

    Args:
        split: ``"train"`` or ``"test"``, which share no sample of a digit.
        length: how many are drawn.

    Attributes:
        images: ``[N, 3, 32, 32]`` in [0, 1].
        labels: ``[N, 32, 32]``, 1 on the digit.
    """

    classes = CLASSES

    def __init__(self, split: str, length: int) -> None:
        rng = np.random.default_rng((split == "test", length))
        textures = [getattr(need("skimage.data", extra="data"), name)() for name in TEXTURES]
        inks = [glyph.ink for of_digit in glyphs(split) for glyph in of_digit]
        drawn = [_scene(rng, textures, inks) for _ in range(length)]
        self.images = torch.from_numpy(np.stack([image for image, _ in drawn]))
        self.labels = torch.from_numpy(np.stack([labels for _, labels in drawn]))

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.labels[index]


def _scene(rng: np.random.Generator, textures: Any, inks: list[Image.Image]) -> Any:
    texture = textures[rng.integers(len(textures))]
    side = int(rng.integers(96, 192))
    y, x = rng.integers(np.array(texture.shape) - side)
    crop = Image.fromarray(texture[y : y + side, x : x + side]).resize((SIDE, SIDE))
    light = rng.uniform(*LIGHT, (3, 1, 1))
    ground = np.asarray(crop)[None] / 255 * light
    ink = inks[rng.integers(len(inks))]
    alpha, _ = turned(rng, ink, rng.uniform(*HEIGHT), math.radians(rng.uniform(-TURN, TURN)))
    rows, columns = np.flatnonzero(alpha.any(1)), np.flatnonzero(alpha.any(0))
    alpha = alpha[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1][:SIDE, :SIDE]
    y, x = (rng.integers(SIDE - side + 1) for side in alpha.shape)
    cover = np.zeros((SIDE, SIDE), np.float32)
    cover[y : y + alpha.shape[0], x : x + alpha.shape[1]] = alpha
    image = ground + cover * (rng.uniform(*INK, (3, 1, 1)) - ground)
    return image.astype(np.float32), (cover > 0.5).astype(np.int64)


def bright(pictures: Tensor) -> Tensor:
    """The labels ``[B, 32, 32]`` of pictures: 1, the digit, where they are bright."""
    return (pictures.mean(dim=1) > BRIGHT).long()


def build() -> Model:
    """The generator, with random weights."""
    return create_model("progan_256", channels=CHANNELS)


def adversarial(model: Any, device: str) -> dict[str, Any]:
    """The schedule of both players: the paper's Adam, and the mean of the weights."""
    adam = partial(torch.optim.Adam, lr=1e-3, betas=(0.0, 0.99), eps=1e-8)
    return {
        "batch_size": 16,
        "optimizer": {"discriminator": adam, "generator": adam},
        "ema_decay": 0.99,
        "samples": sheet,
    }


def sheet(gan: Any) -> Tensor:
    """Samples, the same vectors each time."""
    pictures: Tensor = gan.generator.sample(64).pictures
    return pictures


def learn_scenes(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Trains the generator against a discriminator, keeps it alone, and dissects it."""
    torch.manual_seed(run.seed)
    generator: Any = recipe.build()
    gan = generator.gan()
    run.fit(gan, recipe.data["train"](), "gan", **recipe.schedule(gan, run.device))
    weights = run.out / f"{recipe.name}.safetensors"
    save_model(weights, generator, half=True)
    return recipe.evaluate(weights, device=run.device)


def dissected(model: ProGAN) -> Dissection:
    """The units of ``LAYER`` against bright and dark."""
    latents = model.latents(SAMPLES)
    return dissect(model, LAYER, latents, bright, concepts=CLASSES, quantile=QUANTILE)


def painted() -> Tensor:
    """The square that somebody paints, bool ``[32, 32]``."""
    mask = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    mask[SQUARE] = True
    return mask


def cause_and_effect(model: ProGAN, scenes: DigitsOnTextures) -> dict[str, Any]:
    """How units and digits agree, and what becomes of digits without these units or with more."""
    found = dissected(model)
    units = found.units("digit", min_iou=MIN_IOU)
    told = {
        "labels IoU": _iou(bright(scenes.images), scenes.labels),
        "digits of scenes": scenes.labels.double().mean().item(),
        "digit units": len(units) / len(found.iou),
        "best IoU": found.iou[:, 1].max().item(),
    }
    latents, mask = model.latents(200, seed=1), painted()
    before = bright(model.sample(latents).pictures)
    told["digits of samples"] = before.double().mean().item()
    with edit_units(model, LAYER, units):
        ablated = bright(model.sample(latents).pictures)
    level = unit_quantiles(model, LAYER, model.latents(SAMPLES))[units]
    with edit_units(model, LAYER, units, "insert", mask=mask, level=level):
        inserted = bright(model.sample(latents).pictures)
    told["ablated away"] = 1 - (ablated.sum() / before.sum().clamp(min=1)).item()
    for name, labels in (("before", before), ("inserted", inserted)):
        told[f"in the square {name}"] = labels[:, mask].double().mean().item()
        told[f"outside {name}"] = labels[:, ~mask].double().mean().item()
    return told


def _iou(found: Tensor, labels: Tensor) -> float:
    both, either = (found & labels).sum(), (found | labels).sum()
    return (both / either).item()


RECIPE = Recipe(
    name="digits_dissection",
    summary="a small ProGAN on scenes of a digit: its units of the digit, off and on",
    data={
        "train": partial(DigitsOnTextures, "train", 3200),
        "test": partial(DigitsOnTextures, "test", 500),
    },
    build=build,
    epochs=6,
    schedule=adversarial,
    metrics=cause_and_effect,
    level=Level(
        {
            "labels IoU": 0.965,
            "digits of scenes": 0.133,
            "digit units": 0.375,
            "best IoU": 0.402,
            "digits of samples": 0.115,
            "ablated away": 0.981,
            "in the square before": 0.136,
            "outside before": 0.111,
            "in the square inserted": 0.505,
            "outside inserted": 0.115,
        },
        "1000 samples to find the units, 200 others to edit them; labels on 500 scenes",
        "seed 0, one run",
        "2026-11-30",
    ),
    stages=learn_scenes,
    no_weights=NO_WEIGHTS.format("digits_dissection.safetensors") + " as weights",
)
train, evaluate = RECIPE.train, RECIPE.evaluate
