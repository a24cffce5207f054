"""What the drawn faces look like: images of each split, bare and with their targets.

python examples/drawn_faces.py --out docs/images/drawn_faces.png
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from fastcv._files import replacing
from fastcv.data import DrawnFaces
from fastcv.draw import contact_sheet
from fastcv.results import Faces

COLUMNS = 3  # images of a split
ENLARGED = 2


def drawn(image: Tensor, target: dict[str, Any], *, bare: bool) -> Image.Image:
    """An image, enlarged, with its boxes and the landmarks that are known, or without."""
    large = F.interpolate(image[None], scale_factor=ENLARGED, mode="bicubic")[0].clamp(0, 1)
    count = 0 if bare else len(target["boxes"])
    faces = Faces(
        ENLARGED * target["boxes"][:count],
        torch.ones(count),
        target["labels"][:count],
        DrawnFaces.classes,
        (large.shape[1], large.shape[2]),
        keypoints=target["keypoints"][:count] * torch.tensor([ENLARGED, ENLARGED, 1]),
        keypoint_scores=torch.ones(count, 5),
    )
    return faces.draw(large)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("drawn_faces.png"))
    out = parser.parse_args().out
    tiles = []
    for split in ("train", "val", "test"):
        items = [DrawnFaces(split)[i] for i in range(COLUMNS)]
        tiles += [drawn(*item, bare=bare) for bare in (True, False) for item in items]
    with replacing(out) as temporary:
        contact_sheet(tiles, 2 * COLUMNS).save(temporary)
    print(f"train, val, test from top to bottom: {out}")


if __name__ == "__main__":
    main()
