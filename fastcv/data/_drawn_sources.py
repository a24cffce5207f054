"""What drawn digits are made of: real handwriting and real photographs, apart for each split."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image

from fastcv._extras import need

# By subject, so that each split of evaluation has a scene in colour, one in grey and a texture.
PHOTOGRAPHS = {
    "train": (
        "astronaut",
        "brick",
        "camera",
        "coffee",
        "flower",
        "hubble_deep_field",
        "immunohistochemistry",
        "motorcycle",
        "retina",
        "rocket",
    ),
    "val": ("chelsea", "coins", "gravel"),
    "test": ("china", "grass", "moon"),
}

# Of every ten samples of a digit, in the order of the collection, which go to which split.
SHARES = {"train": range(0, 7), "val": range(7, 8), "test": range(8, 10)}

LONGEST_SIDE = 640  # photographs are kept no larger, so that all of them take some 10 MB
UPSAMPLING = 8
MARGIN = 6  # pixels of the rendered glyph about its ink, where the ink fades out
INK = 0.65  # how much ink makes a pixel part of the digit

# The collection's pixels are means over 4 x 4 pixels of a scan: sharpened, loops open again.
SHARPEN = torch.tensor([[-3.0, -6.0, -3.0], [-6.0, 52.0, -6.0], [-3.0, -6.0, -3.0]]) / 16


@dataclass(frozen=True)
class Glyph:
    """One handwritten digit, cropped to its ink and ``MARGIN``; ``sample`` is its number in the
    collection."""

    sample: int
    ink: Image.Image

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the ink, without the margin."""
        return self.ink.width - 2 * MARGIN, self.ink.height - 2 * MARGIN


@functools.cache
def glyphs(split: str) -> tuple[tuple[Glyph, ...], ...]:
    """The split's samples of each digit, 0 to 9."""
    collection = need("sklearn.datasets", extra="data").load_digits()
    images = torch.from_numpy(collection.images).float()[:, None] / 16
    sharp = torch.nn.functional.conv2d(images, SHARPEN[None, None], padding=2)
    smooth = torch.nn.functional.interpolate(
        sharp, scale_factor=UPSAMPLING, mode="bicubic", align_corners=False
    )
    rendered = smooth[:, 0].clamp(0, 1).numpy()
    chosen = []
    for digit in range(10):
        samples = np.flatnonzero(collection.target == digit)
        in_split = [s for i, s in enumerate(samples.tolist()) if i % 10 in SHARES[split]]
        chosen.append(tuple(_crop(sample, rendered[sample]) for sample in in_split))
    return tuple(chosen)


def _crop(sample: int, rendered: np.ndarray) -> Glyph:
    rows = np.flatnonzero((rendered > INK).any(axis=1))
    columns = np.flatnonzero((rendered > INK).any(axis=0))
    ink = Image.fromarray((rendered * 255).round().astype(np.uint8))
    left, top = int(columns[0]) - MARGIN, int(rows[0]) - MARGIN
    right, bottom = int(columns[-1]) + 1 + MARGIN, int(rows[-1]) + 1 + MARGIN
    return Glyph(sample, ink.crop((left, top, right, bottom)))


@functools.cache
def photographs(split: str) -> tuple[Image.Image, ...]:
    """The split's photographs, RGB, in the order of ``PHOTOGRAPHS``."""
    return tuple(_photograph(name) for name in PHOTOGRAPHS[split])


def _photograph(name: str) -> Image.Image:
    if name in ("china", "flower"):
        pixels = need("sklearn.datasets", extra="data").load_sample_image(f"{name}.jpg")
    elif name == "motorcycle":
        pixels = need("skimage.data", extra="data").stereo_motorcycle()[0]
    else:
        pixels = getattr(need("skimage.data", extra="data"), name)()
    photograph = Image.fromarray(pixels).convert("RGB")
    photograph.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    return photograph
