"""Which pairs of corners a centre confirms, as a picture.

    python examples/keypoint_triplets.py --out docs/images/keypoint_triplets.png

The corners and centres are those of the scene's digits, all taken for one class, with embeddings
that do not tell them apart: each top-left corner pairs with each bottom-right one below and to the
right of it. A pair stays where a centre lies in the middle third of its box.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from torch import Tensor

from fastcv.data import DrawnDigits
from fastcv.nn.points.corner_pairs import central_region

SCENE = 13
N = 3


def box(axis: Axes, corners: list[float], colour: str, fill: bool = False) -> None:
    x1, y1, x2, y2 = corners
    style = (
        {"fc": colour, "alpha": 0.45, "lw": 0} if fill else {"fc": "none", "ec": colour, "lw": 2}
    )
    axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, **style))


def pairs_of(boxes: Tensor) -> Tensor:
    """All boxes of a top-left corner and a bottom-right one that lies below and to the right."""
    count = len(boxes)
    corners = boxes[:, None, :2].expand(-1, count, -1)
    others = boxes[None, :, 2:].expand(count, -1, -1)
    return torch.cat([corners, others], dim=2)[(others > corners).all(dim=2)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/keypoint_triplets.png")
    out = parser.parse_args().out
    image, target = DrawnDigits("train", digit_size=(28, 56))[SCENE]
    centers = (target["boxes"][:, :2] + target["boxes"][:, 2:]) / 2
    pairs = pairs_of(target["boxes"])
    middles = central_region(pairs, torch.full((len(pairs),), N))
    inside = (centers > middles[:, None, :2]) & (centers < middles[:, None, 2:])
    confirmed = inside.all(dim=2).any(dim=1)

    titles = (
        "points",
        f"{len(pairs)} pairs of corners",
        f"{int(confirmed.sum())} have a centre in their middle",
    )
    figure, axes = plt.subplots(1, 3, figsize=(11, 4), layout="constrained")
    for axis, title in zip(axes, titles, strict=True):
        axis.imshow(image.permute(1, 2, 0))
        axis.set(xlim=(-0.5, 191.5), ylim=(191.5, -0.5))
        axis.set_title(title, fontsize=11)
        axis.set_axis_off()
    for points, marker in ((target["boxes"][:, :2], "v"), (target["boxes"][:, 2:], "^")):
        axes[0].plot(*points.T, marker, color="#ffb000", mec="black", ms=9)
    axes[0].plot(*centers.T, "o", color="#00d0a0", mec="black", ms=9)
    for pair, middle, good in zip(pairs.tolist(), middles.tolist(), confirmed, strict=True):
        box(axes[1], pair, "#00d0a0" if good else "#ff3b5c")
        if good:
            box(axes[2], pair, "#00d0a0")
            box(axes[2], middle, "#00d0a0", fill=True)
    axes[2].plot(*centers.T, "o", color="white", mec="black", ms=6)
    figure.savefig(out, dpi=90)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
