"""A bias that is planted, and seen: every 7 lies on grass and every other digit on bricks.

A small ResNet learns digits on such scenes, and another the same digits with either texture behind
any. The masks of the digits say where each looks for a 7: at the digit, or at the grass.

A run has ``biased/model.safetensors`` and ``rebalanced/model.safetensors``.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from fastcv import explain
from fastcv._extras import need
from fastcv.data._drawn_page import Page, turned
from fastcv.data._drawn_sources import glyphs
from fastcv.models._mode import evaluating
from fastcv.recipes._recipe import NO_WEIGHTS, Level, Recipe, Run
from fastcv.recipes.learn._small import SmallResNet, small_classifier

SIDE = 24  # pixels of a scene, along a side
DIGIT_SIZE = (15.0, 19.0)
MAX_ANGLE = 15.0
MIN_VISIBLE = 0.9
WIDTH = 8  # of the network
BIASED = 7
TEXTURES = ("brick", "grass")  # scikit-image's
STEPS, LR = 10, 0.01  # up the score: few and short, for later the whole scene moves
NEAR = 2  # pixels about the ink that count as the digit: it is told by its edges


class DigitsOnTextures(Dataset[tuple[Tensor, int]]):
    """Digits on crops of a photograph of bricks or of one of grass; their masks beside.

    Splits share neither handwriting nor halves of the photographs.

    Args:
        split: ``"train"`` or ``"test"``.
        length: how many are drawn.
        biased: every 7 on grass and every other digit on bricks; otherwise each on either.

    Attributes:
        images: ``[N, 3, 24, 24]`` in [0, 1].
        labels: ``[N]``, the digits.
        on_grass: ``[N]`` bool.
        masks: ``[N, 24, 24]`` bool, the digit and ``NEAR`` pixels about it.
    """

    classes = tuple("0123456789")

    def __init__(self, split: str, length: int, *, biased: bool) -> None:
        textures = [_half(name, split) for name in TEXTURES]
        images, labels, grass, masks = [], [], [], []
        for index in range(length):
            rng = np.random.default_rng((["train", "test"].index(split), index))
            digit = int(rng.integers(10))
            on_grass = digit == BIASED if biased else bool(rng.integers(2))
            page = Page(_crop(rng, textures[on_grass]), MIN_VISIBLE)
            samples = glyphs(split)[digit]
            ink = samples[rng.integers(len(samples))].ink
            height = rng.uniform(*DIGIT_SIZE)
            angle = math.radians(rng.uniform(-MAX_ANGLE, MAX_ANGLE))
            page.draw(rng, digit, *turned(rng, ink, height, angle))
            if page.labels:  # now and then a digit finds no room
                images.append(torch.from_numpy(page.image))
                labels.append(digit)
                grass.append(on_grass)
                masks.append(torch.from_numpy(page.owner > 0))
        self.images, self.labels = torch.stack(images), torch.tensor(labels)
        self.on_grass, digits = torch.tensor(grass), torch.stack(masks)[:, None].float()
        self.masks = F.max_pool2d(digits, 2 * NEAR + 1, stride=1, padding=NEAR)[:, 0] > 0

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], int(self.labels[index])


def _half(name: str, split: str) -> Image.Image:
    pixels = getattr(need("skimage.data", extra="data"), name)()
    middle = pixels.shape[1] // 2
    return Image.fromarray(pixels[:, :middle] if split == "train" else pixels[:, middle:])


def _crop(rng: np.random.Generator, texture: Image.Image) -> np.ndarray:
    """In another light and colour, for colour is not to tell the textures apart."""
    side = rng.uniform(2, 4) * SIDE
    x, y = (rng.uniform(0, length - side) for length in texture.size)
    crop = texture.resize(
        (SIDE, SIDE), Image.Resampling.BILINEAR, box=(x, y, x + side, y + side), reducing_gap=2.0
    )
    light = rng.uniform(0.6, 1.1, (3, 1, 1)).astype(np.float32) / 255
    return np.minimum(np.asarray(crop, np.float32)[None] * light, 1)


def build() -> SmallResNet:
    """The network, with random weights."""
    return SmallResNet(DigitsOnTextures.classes, SIDE, WIDTH)


def both(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Trains one network on either data, from the same weights."""
    found: dict[str, Any] = {}
    test = recipe.data["test"]()
    for kind, part in (("biased", "train"), ("rebalanced", "rebalanced")):
        torch.manual_seed(run.seed)
        model = build()
        run.fit(model, recipe.data[part](), kind, **recipe.schedule(model, run.device))
        found |= {f"{kind} {name}": value for name, value in recipe.metrics(model, test).items()}
    return found


def where(model: SmallResNet, scenes: DigitsOnTextures) -> dict[str, Any]:
    """The accuracy, also of sevens by their texture; where the network looks for a 7 on grass.

    Of Grad-CAM's maps, and of what climbing the score changes of the scenes: the share outside of
    the digits' masks. A map that is the same everywhere has that of ``uniform``.
    """
    device = next(model.parameters()).device
    images = model.prepare(list(scenes.images.to(device)))
    with evaluating(model), torch.inference_mode():
        found = torch.cat([model(part) for part in torch.split(images, 100)]).argmax(dim=1).cpu()
    right, seven = found == scenes.labels, scenes.labels == BIASED
    asked = seven & scenes.on_grass
    masks = scenes.masks[asked]
    heat = explain.grad_cam(model, images[asked.to(device)], BIASED).maps.cpu()
    return {
        "acc@1": share(right),
        "7 on bricks missed": share(~right[seven & ~scenes.on_grass]),
        "called 7 on grass": share(found[~seven & scenes.on_grass] == BIASED),
        "uniform outside": outside(torch.ones_like(heat), masks),
        "Grad-CAM outside": outside(heat, masks),
        "visualisation outside": outside(changed(model, images[asked.to(device)]), masks),
    }


def changed(model: SmallResNet, images: Tensor) -> Tensor:
    """By how much each pixel of scenes moves on the way up the score of a 7, ``[N, H, W]``."""
    climbed = explain.visualise_class(model, BIASED, start=list(images), steps=STEPS, lr=LR)
    return (climbed.images - images).square().sum(dim=1).cpu()


def outside(maps: Tensor, masks: Tensor) -> float:
    """The mean share of maps ``[N, H, W]``, 0 and above, that is not in masks of that shape."""
    whole = maps.sum(dim=(1, 2))
    return ((maps * ~masks).sum(dim=(1, 2)) / whole)[whole > 0].mean().item()


def share(hits: Tensor) -> float:
    return hits.float().mean().item()


RECIPE = Recipe(
    name="digits_planted_bias",
    summary="digits whose 7 lies on grass, and rebalanced: where a network looks for it",
    data={
        "train": partial(DigitsOnTextures, "train", 2000, biased=True),
        "rebalanced": partial(DigitsOnTextures, "train", 2000, biased=False),
        "test": partial(DigitsOnTextures, "test", 1000, biased=False),
    },
    build=build,
    epochs=6,
    schedule=partial(small_classifier, lr=3e-3, batch_size=32),
    metrics=where,
    level=Level(
        {
            "biased acc@1": 0.403,
            "biased 7 on bricks missed": 1.0,
            "biased called 7 on grass": 0.945,
            "biased uniform outside": 0.612,
            "biased Grad-CAM outside": 0.626,
            "biased visualisation outside": 0.675,
            "rebalanced acc@1": 0.781,
            "rebalanced 7 on bricks missed": 0.224,
            "rebalanced called 7 on grass": 0.021,
            "rebalanced uniform outside": 0.612,
            "rebalanced Grad-CAM outside": 0.254,
            "rebalanced visualisation outside": 0.261,
        },
        "1000 scenes of other handwriting, on the other halves of the photographs",
        "seed 0, one run",
        "2026-11-30",
    ),
    stages=both,
    no_weights=NO_WEIGHTS.format("biased/model.safetensors") + " as weights",
)
train, evaluate = RECIPE.train, RECIPE.evaluate
