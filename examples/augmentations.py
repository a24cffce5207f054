"""What each augmentation makes of a scene, with its boxes, masks and keypoints moved along.

python examples/augmentations.py --out docs/images/augmentations.png
"""

from __future__ import annotations

import argparse
import colorsys
import os
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from fastcv import augment
from fastcv.augment import affine_matrices
from fastcv.data import DrawnDigits

SIDE = 144
TITLE = 18
GAP = 6
COLUMNS = 6
Batch = tuple[Tensor, Any]


def changes(images: Tensor, targets: list[dict[str, Any]]) -> dict[str, Batch]:
    """By name, what each augmentation makes of two scenes; pixels only where targets stay."""
    size = (SIDE, SIDE)
    seeded = torch.Generator().manual_seed(7)

    def moved(**how: Any) -> Batch:
        return augment.warp(images, targets, affine_matrices(size, **how), fill=0.5)

    values = {
        "brightness 1.6": augment.brightness(images, 1.6),
        "contrast 0.4": augment.contrast(images, 0.4),
        "saturation 2.5": augment.saturation(images, 2.5),
        "sharpness 0": augment.sharpness(images, 0.0),
        "sharpness 6": augment.sharpness(images, 6.0),
        "contrast 0.4, autocontrast": augment.autocontrast(augment.contrast(images, 0.4)),
        "equalize": augment.equalize(images),
        "posterize to 2 bits": augment.posterize(images, 2),
        "solarize from 0.5": augment.solarize(images, 0.5),
        "invert": augment.invert(images),
        "cutout": augment.Cutout((0.1, 0.1))(images, generator=seeded)[0],
    }
    crop = torch.tensor([[16, 24, 112, 120]] * len(images))
    return {
        "as it is": (images, targets),
        **{name: (changed, targets) for name, changed in values.items()},
        "flip": augment.flip(images, targets),
        "rotate by a quarter": augment.rotate90(images, targets),
        "rotate by 25 degrees": moved(angle=25.0),
        "shear x 0.3": moved(shear=(0.3, 0.0)),
        "shear y 0.3": moved(shear=(0.0, 0.3)),
        "translate": moved(translate=(30.0, -20.0)),
        "scale 0.7": moved(scale=0.7),
        "resized crop": augment.resized_crop(images, targets, crop, size),
        "pad and crop": augment.shift(
            images, targets, torch.tensor([20] * 2), torch.tensor([12] * 2)
        ),
        "RandAugment(2, 9)": augment.RandAugment(2, 9)(images, targets, generator=seeded),
        "RandAugment(2, 27)": augment.RandAugment(2, 27)(images, targets, generator=seeded),
        "RandAugment(4, 18)": augment.RandAugment(4, 18)(images, targets, generator=seeded),
        "CutMix": augment.cut_mix(
            images, torch.eye(2), torch.tensor([[20, 50, 110, 130]] * 2), torch.tensor([1, 0])
        ),
        "MixUp": augment.mix_up(
            images, torch.eye(2), torch.tensor([0.6, 0.6]), torch.tensor([1, 0])
        ),
    }


def drawn(image: Tensor, target: Any) -> Image.Image:
    """The image; on it, where the target says where something is, boxes, outlines and points."""
    pixels = image.clone()
    places = isinstance(target, dict)
    colours = (
        [colorsys.hsv_to_rgb((label - 1) / 10, 0.75, 1) for label in target["labels"].tolist()]
        if places
        else []
    )
    for index, colour in enumerate(colours):
        inner = target["masks"][index]
        thick = torch.nn.functional.max_pool2d(inner[None].float(), 3, 1, 1)[0] > 0
        edge = thick & ~inner
        pixels[:, edge] = torch.tensor(colour)[:, None]
    picture = Image.fromarray((pixels.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy())
    pen = ImageDraw.Draw(picture)
    for index, colour in enumerate(colours):
        x1, y1, x2, y2 = target["boxes"][index].tolist()
        pen.rectangle((x1, y1, x2 - 1, y2 - 1), outline=tuple(round(255 * c) for c in colour))
        for x, y, visibility in target["keypoints"][index].tolist():
            if visibility:
                pen.rectangle((x - 1, y - 1, x + 1, y + 1), fill="white", outline="black")
    return picture


def sheet() -> Image.Image:
    scenes = DrawnDigits("test", size=(SIDE, SIDE), max_digits=3, digit_size=(30, 60))
    images, targets = zip(scenes[3], scenes[8], strict=True)
    tiles = changes(torch.stack(images), list(targets))
    rows = -(-len(tiles) // COLUMNS)
    size = (COLUMNS * (SIDE + GAP) + GAP, rows * (SIDE + TITLE + GAP) + GAP)
    out = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(out)
    for place, (name, (changed, moved)) in enumerate(tiles.items()):
        row, column = divmod(place, COLUMNS)
        x, y = GAP + column * (SIDE + GAP), GAP + row * (SIDE + TITLE + GAP)
        shares = "" if isinstance(moved, list) else " " + " + ".join(f"{s:.2f}" for s in moved[0])
        pen.text((x, y + 2), name + shares, fill="black", font_size=12)
        target = moved[0] if isinstance(moved, list) else None
        out.paste(drawn(changed[0], target), (x, y + TITLE))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("augmentations.png"))
    out = parser.parse_args().out
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.tmp")
    sheet().save(temporary, format="PNG", optimize=True)
    os.replace(temporary, out)
    print(f"every augmentation on one scene: {out}")


if __name__ == "__main__":
    main()
