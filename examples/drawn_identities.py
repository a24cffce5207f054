"""What the drawn people look like: ten of them, four pictures of each.

python examples/drawn_identities.py --out docs/images/drawn_identities.png
"""

from __future__ import annotations

import argparse
from pathlib import Path

from PIL import Image

from fastcv._files import replacing
from fastcv.data import DrawnIdentities
from fastcv.draw import contact_sheet

PEOPLE, PICTURES = 10, 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("drawn_identities.png"))
    out = parser.parse_args().out
    faces = DrawnIdentities("test", identities=PEOPLE)
    tiles = []
    for person in range(PEOPLE):
        for i in range(PICTURES):
            image, _ = faces[person + i * PEOPLE]
            pixels = (image.permute(1, 2, 0) * 255).round().byte().numpy()
            tiles.append(Image.fromarray(pixels))
    with replacing(out) as temporary:
        contact_sheet(tiles, 2 * PICTURES).save(temporary)
    print(f"{PEOPLE} people, {PICTURES} pictures of each: {out}")


if __name__ == "__main__":
    main()
