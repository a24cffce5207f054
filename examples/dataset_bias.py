"""What two datasets take for granted: mean images of digits, and where drawn digits lie.

python examples/dataset_bias.py --out docs/images
"""

from __future__ import annotations

import argparse
from pathlib import Path

from fastcv.data import DrawnDigits, box_heatmap, mean_images
from fastcv.draw import draw_bias
from fastcv.recipes.learn._small import scanned_digits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path())
    folder = parser.parse_args().out
    digits, scenes = scanned_digits("train"), DrawnDigits("train", length=1500)
    draw_bias(*mean_images(digits), digits.classes, folder / "bias_means.png")
    draw_bias(*box_heatmap(scenes), scenes.classes, folder / "bias_boxes.png")
    print(f"bias_means.png and bias_boxes.png are in {folder}")


if __name__ == "__main__":
    main()
