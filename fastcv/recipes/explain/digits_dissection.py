"""GAN dissection: a small ProGAN learns scenes of a digit on a texture; which units draw the digit?

A U-Net of ours, trained on scenes, says of each pixel of a sample whether it is the digit's. Units
whose maps agree with that are the digit's units. Set to 0, the digit goes; set high inside a
square, there comes one. Nobody told the generator what a digit is.

A run has ``gan/``, ``segmenter/`` and ``digits_dissection.safetensors``, the generator.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.utils.data import Dataset

from fastcv._extras import need
from fastcv.data._drawn_page import turned
from fastcv.data._drawn_sources import glyphs
from fastcv.learn import normalised_batches
from fastcv.models import create_model
from fastcv.models.generative.progan import ProGAN
from fastcv.models.segmentation.unet import UNet

SIDE = 32  # pixels of a scene, along a side
TEXTURES = ("brick", "grass", "gravel")
CHANNELS = (64, 64, 48, 24, 12)  # of the generator: a vector of 64, then 4 to 32 pixels
HEIGHT, TURN = (19.0, 23.0), 8.0  # of a digit: pixels, and degrees to either side
LIGHT, INK = (0.25, 0.6), (0.8, 1.0)  # brightness of textures and digits, by channel
CLASSES = ("background", "digit")


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
