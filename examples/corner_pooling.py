"""How corner pooling brings an object's edges to the corner of its box, as a picture.

    python examples/corner_pooling.py --out docs/images/corner_pooling.png

Two maps of a photograph of a coin, its upper and its left edges, are pooled towards the top-left
corner. The corner itself lies on the background; the sum of the two is largest there.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import skimage
import torch
from torch.nn import functional as F

from fastcv.ops import corner_pool

TOP, LEFT, SIDE = 164, 12, 66  # of one coin


def edges(image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """``[1, 1, H, W]`` each: how much brighter it gets downwards, and to the right."""
    blur = torch.tensor([1.0, 4, 6, 4, 1]) / 16
    smooth = F.conv2d(image, torch.outer(blur, blur)[None, None], padding=2)
    slope = torch.tensor([-1.0, 0, 1])
    down = F.conv2d(smooth, slope.view(1, 1, 3, 1), padding=(1, 0))
    right = F.conv2d(smooth, slope.view(1, 1, 1, 3), padding=(0, 1))
    border = torch.zeros_like(image)
    border[..., 4:-4, 4:-4] = 1
    return down.relu() * border, right.relu() * border


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/corner_pooling.png")
    out = parser.parse_args().out
    coins = torch.from_numpy(skimage.data.coins()).float() / 255
    coin = coins[TOP : TOP + SIDE, LEFT : LEFT + SIDE][None, None]
    upper, left = edges(coin)
    pooled_left, pooled_top = corner_pool(upper, "left"), corner_pool(left, "top")
    both = pooled_left + pooled_top
    # Of the largest values, the last in both directions: beyond it one of the edges ends.
    best = (both[0, 0] > 0.999 * both.max()).nonzero()
    row, column = best[best.sum(1).argmax()].tolist()

    pictures = {
        "photograph": coin,
        "upper edges": upper,
        '"left" pool: looks to the right': pooled_left,
        "the sum, and its largest value": both,
        "left edges": left,
        '"top" pool: looks down': pooled_top,
    }
    figure, axes = plt.subplots(2, 3, figsize=(9, 6.4), layout="constrained")
    for axis, (title, picture) in zip(axes.flat, pictures.items(), strict=True):
        axis.imshow(picture[0, 0], cmap="gray" if picture is coin else "magma")
        axis.set_title(title, fontsize=10)
        axis.set_axis_off()
        if picture is coin or picture is both:
            axis.plot(column, row, "o", color="#00d0a0", mec="white", ms=9)
    figure.savefig(out, dpi=90)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
