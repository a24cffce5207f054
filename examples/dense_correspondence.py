"""Figures, where each of their pixels lies on the surface, and a texture laid on by that.

python examples/dense_correspondence.py --out docs/images/dense_correspondence.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from PIL import Image
from skimage.data import brick

from fastcv.data import DrawnBodies
from fastcv.draw import contact_sheet
from fastcv.results import DenseCorrespondence
from fastcv.results.dense_correspondence import window_of

SCENES = (0, 2)
SIZE = 320
TINT = (0.95, 0.55, 0.42)  # the photograph of bricks is grey


def as_result(target):
    """The key of a scene as a model's result."""
    surfaces = []
    for box, surface in zip(target["boxes"].tolist(), target["surfaces"], strict=True):
        left, top, right, bottom = window_of(box, (SIZE, SIZE))
        surfaces.append(surface[:, top:bottom, left:right])
    return DenseCorrespondence(
        target["boxes"],
        torch.ones(len(surfaces)),
        target["labels"],
        DrawnBodies.classes,
        (SIZE, SIZE),
        surfaces=tuple(surfaces),
        charts=len(DrawnBodies.charts),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/dense_correspondence.png")
    out = Path(parser.parse_args().out)
    data = DrawnBodies("test", size=(SIZE, SIZE), max_bodies=2, body_size=(190, 250))
    shade = 1 - 0.6 * torch.linspace(-1, 1, 100).square()  # darker towards the edges of a limb
    bricks = torch.from_numpy(brick())[:240, :100] / 255 * shade
    bricks = bricks * torch.tensor(TINT)[:, None, None]
    tiles = []
    for scene in SCENES:
        image, target = data[scene]
        found = as_result(target)
        pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
        tiles += [Image.fromarray(pixels), found.draw(image), found.texture(bricks, image)]
    contact_sheet(tiles, 3).save(out)


if __name__ == "__main__":
    main()
