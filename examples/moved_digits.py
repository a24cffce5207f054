"""A clip of moving digits, the flow from each frame to the first, and the first one moved by it.

python examples/moved_digits.py --out docs/images/moved_digits.png
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from fastcv._files import replacing
from fastcv.data import MovingDigits, flow_between
from fastcv.draw import color_of, contact_sheet, flow_picture
from fastcv.ops import flow_warp

CLIP, EVERY = 8, 2  # which clip, and of its frames every second
LONGEST = 30.0  # pixels of flow that have the full colour


def picture(image: Tensor) -> Image.Image:
    return Image.fromarray((image * 255).round().byte().permute(1, 2, 0).numpy())


def with_ids(image: Tensor, target: dict[str, Any]) -> Image.Image:
    """The image in grey; each digit in the colour of its number, which it keeps."""
    image = image.mean(0, keepdim=True).expand(3, -1, -1) * 0.6
    for mask, number in zip(target["masks"], target["ids"].tolist(), strict=True):
        image = torch.where(mask, torch.tensor(color_of(number))[:, None, None] / 255, image)
    return picture(image)


def sheet() -> Image.Image:
    """A column for each frame: with its digits, its flow, and the first frame moved."""
    frames, targets = MovingDigits("test")[CLIP]
    rows: list[list[Image.Image]] = [[], [], [], []]
    for frame, target in list(zip(frames, targets, strict=True))[::EVERY]:
        flow = flow_between(target, targets[0])
        moved = flow_warp(frames[:1], flow[None])[0]
        for row, drawn in zip(
            rows,
            (
                picture(frame),
                with_ids(frame, target),
                flow_picture(flow, max_length=LONGEST),
                picture(moved),
            ),
            strict=True,
        ):
            row.append(drawn)
    return contact_sheet([drawn for row in rows for drawn in row], columns=len(rows[0]), gap=4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("moved_digits.png"))
    out = parser.parse_args().out
    with replacing(out) as temporary:
        sheet().save(temporary, format="PNG", optimize=True)
    print(f"frames, digits, flow to the first frame, the first frame moved: {out}")


if __name__ == "__main__":
    main()
