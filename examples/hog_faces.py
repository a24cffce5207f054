"""What HOG and a linear SVM learn of faces, and what they find, as a picture.

    python examples/hog_faces.py --out docs/images/hog_faces.png

The panels are those of Dalal and Triggs' figure 6, with faces in place of people, and a photograph
with its detections.
"""

from __future__ import annotations

import argparse
import math

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import skimage.data
import torch
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle
from torch import Tensor

from fastcv.models.detection.hog_svm import HogSVM
from fastcv.ops import hog
from fastcv.recipes.detection import hog_faces

FACES = (50, 250)  # pixels along a side of the box, in a portrait of 512 x 512


def gradient_length(images: Tensor) -> Tensor:
    """``[N, H, W]``: the length of the gradient of images ``[N, 3, H, W]``."""
    y, x = torch.gradient(images[:, 0], dim=(1, 2))
    return torch.hypot(x, y)


def largest_weight(model: HogSVM, sign: int) -> Tensor:
    """``[blocks in y, blocks in x]``: of each block, the largest weight of one sign."""
    weight = sign * model.svm.weight.detach().view(*model.blocks, -1)
    return weight.amax(-1).clamp(min=0)


def draw_cells(axis: plt.Axes, cells: Tensor, side: int) -> None:
    """A star for each cell: lines along edges, as bright as the bin across them is full.

    Args:
        axis: to draw on.
        cells: ``[rows, columns, orientations]``.
        side: of a cell, in pixels.
    """
    rows, columns, bins = cells.shape
    lines, shades = [], []
    for y in range(rows):
        for x in range(columns):
            for k in range(bins):
                # A gradient stands across its edge.
                angle = math.pi * (k + 0.5) / bins + math.pi / 2
                dx, dy = side * 0.48 * math.cos(angle), side * 0.48 * math.sin(angle)
                cx, cy = side * (x + 0.5), side * (y + 0.5)
                lines.append([(cx - dx, cy - dy), (cx + dx, cy + dy)])
                shades.append(float(cells[y, x, k] / cells.max()))
    order = np.argsort(shades)
    colors = [(shades[i],) * 3 for i in order]
    axis.add_collection(LineCollection([lines[i] for i in order], colors=colors, linewidths=2))
    axis.set_xlim(0, columns * side)
    axis.set_ylim(rows * side, 0)
    axis.set_facecolor("black")
    axis.set_aspect("equal")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/hog_faces.png")
    out = parser.parse_args().out
    windows, face = hog_faces.patches("train")
    model = hog_faces.build()
    both_ways = torch.cat([windows, windows.flip(3)])
    rounds = hog_faces.RECIPE.epochs
    model.fit(both_ways, face.repeat(2), hog_faces.photographs(), rounds=rounds)
    right = hog_faces.accuracy(model, hog_faces.patches("test"))["accuracy"]

    held_out = hog_faces.patches("test")[0][:1]
    cells = hog(held_out, block_size=1, cell_size=5)[0, :, :, 0, 0]
    positive, negative = model.template()
    photograph = skimage.data.astronaut()
    (found,) = model.predict(photograph)
    sides = found.boxes[:, 2] - found.boxes[:, 0]
    found = found[(sides >= FACES[0]) & (sides <= FACES[1])]

    figure = plt.figure(figsize=(12, 5), layout="constrained")
    left, rest = figure.subfigures(1, 2, width_ratios=(4, 2.6))
    axes = left.subplots(2, 4).flatten()
    for axis, picture, title in (
        (axes[0], gradient_length(windows[face]).mean(0), "mean gradient"),
        (axes[1], largest_weight(model, 1), "largest weight for"),
        (axes[2], largest_weight(model, -1), "largest weight against"),
        (axes[3], held_out[0, 0], "a held-out face"),
    ):
        axis.imshow(picture, cmap="gray")
        axis.set_title(title, fontsize=9)
    for axis, stars, title in (
        (axes[4], cells, "its descriptor"),
        (axes[5], cells * positive, "descriptor x weights for"),
        (axes[6], cells * negative, "descriptor x weights against"),
        (axes[7], positive, "weights for"),
    ):
        draw_cells(axis, stars, 5)
        axis.set_title(title, fontsize=9)
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
    axis = rest.subplots()
    axis.imshow(photograph)
    color = "#00d0a0"
    for (x1, y1, x2, y2), score in zip(found.boxes.tolist(), found.scores.tolist(), strict=True):
        axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=color, lw=2))
        axis.text(x1 + 3, y1 - 4, f"{score:.2f}", color=color, fontsize=8)
    axis.set_title(f"boxes of {FACES[0]} to {FACES[1]} pixels; held-out patches: {right:.3f} right",
                   fontsize=9)  # fmt: skip
    axis.set_axis_off()
    figure.savefig(out, dpi=90)
    print(f"held-out accuracy {right:.3f}; {found}; wrote {out}")


if __name__ == "__main__":
    main()
