"""Filters of a first layer, trained on ImageNet, and of a deeper one, of the digit detector.

python examples/explain_filters.py --out docs/images/explain_filters.png
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from imagenet_photographs import mobilenet
from PIL import Image

from fastcv import explain, recipes
from fastcv.draw import contact_sheet

DEEPER = "backbone.body.layer1.0.conv1"


def sheet(pictures: Sequence[Image.Image], columns: int, side: int, gap: int) -> Image.Image:
    tiles = [picture.resize((side, side), Image.Resampling.NEAREST) for picture in pictures]
    return contact_sheet(tiles, columns, gap)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/explain_filters.png")
    out = parser.parse_args().out
    detector = recipes.get("digits_detector").load(device="cpu")
    rows = [
        sheet(explain.filters(mobilenet()).pictures, columns=16, side=60, gap=4),
        sheet(explain.filters(detector, DEEPER, channels=16).pictures, columns=8, side=115, gap=12),
    ]
    both = Image.new("RGB", (rows[0].width, sum(row.height for row in rows)), "white")
    for row, top in zip(rows, (0, rows[0].height), strict=True):
        both.paste(row, (0, top))
    both.save(out)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
