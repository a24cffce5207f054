"""What the drawn digits look like: three images of each split, bare and with their targets.

python examples/drawn_digits.py --out docs/images/drawn_digits.png
"""

from __future__ import annotations

import argparse
import colorsys
from pathlib import Path
from typing import Any

import torch
from PIL import Image, ImageDraw

from fastcv.data import DrawnDigits

SIDE = 192
COLUMNS = 3


def picture(image: torch.Tensor) -> Image.Image:
    return Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy())


def with_targets(
    image: torch.Tensor, target: dict[str, Any], classes: tuple[str, ...]
) -> Image.Image:
    """The image in grey; each digit's mask, box, label and keypoints in the colour of its class."""
    image = image.mean(0, keepdim=True).expand(3, -1, -1) * 0.6
    colours = [colorsys.hsv_to_rgb((label - 1) / 10, 0.7, 1) for label in target["labels"].tolist()]
    for mask, colour in zip(target["masks"], colours, strict=True):
        image = torch.where(mask, 0.9 * torch.tensor(colour)[:, None, None], image)
    drawn = picture(image)
    pen = ImageDraw.Draw(drawn)
    for box, label, points, rgb in zip(
        target["boxes"].tolist(),
        target["labels"].tolist(),
        target["keypoints"].tolist(),
        colours,
        strict=True,
    ):
        colour = tuple(round(255 * c) for c in rgb)
        x1, y1, x2, y2 = box
        pen.rectangle((x1, y1, x2 - 1, y2 - 1), outline=colour)
        pen.text((x1 + 2, max(y1 - 13, 0)), classes[label], fill=colour, font_size=12)
        for x, y, visibility in points:
            if visibility:
                pen.rectangle((x - 1, y - 1, x + 1, y + 1), fill="white", outline="black")
    return drawn


def sheet() -> Image.Image:
    out = Image.new("RGB", (2 * COLUMNS * SIDE, 3 * SIDE))
    for row, split in enumerate(("train", "val", "test")):
        dataset = DrawnDigits(split, size=(SIDE, SIDE))
        for column in range(COLUMNS):
            image, target = dataset[column]
            x, y = column * SIDE, row * SIDE
            out.paste(picture(image), (x, y))
            out.paste(with_targets(image, target, dataset.classes), (x + COLUMNS * SIDE, y))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("drawn_digits.png"))
    out = parser.parse_args().out
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.tmp")
    sheet().save(temporary, format="PNG", optimize=True)
    temporary.replace(out)
    print(f"train, val, test from top to bottom: {out}")


if __name__ == "__main__":
    main()
