"""Where a transposed convolution draws a checkerboard, and where it does not, as a picture.

python examples/checkerboard.py --out docs/images/checkerboard.png
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from fastcv.draw import draw_overlap


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/checkerboard.png")
    out = parser.parse_args().out
    figure = draw_overlap(((3, 2), (5, 3), (4, 2)))
    figure.savefig(out, dpi=90)
    plt.close(figure)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
