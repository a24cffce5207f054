"""Selective search in its three stages, as a picture.

    python examples/selective_search.py --out docs/images/selective_search.png

Regions of one colour or texture; regions that have merged; boxes about all regions on the way, and
those nearest to the objects that a person would name.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import skimage.data
import torch
from matplotlib.patches import Rectangle
from skimage.segmentation import mark_boundaries
from torch import Tensor

from fastcv.ops import RegionTree, box_iou, felzenszwalb, group_regions, selective_search

# Drawn by hand, (x1, y1, x2, y2).
OBJECTS = {"cup": (172, 17, 408, 305), "saucer": (76, 88, 480, 396), "spoon": (322, 232, 405, 330)}
LEFT = (40, 12)  # regions that the second stage still has
SHOWN = 150  # boxes


def merged(labels: Tensor, tree: RegionTree, left: int) -> Tensor:
    """``[H, W]``: the region that each pixel is in when so many are left."""
    segments = len(tree.children) + 1
    region = torch.arange(len(tree.boxes))
    for i, children in enumerate(tree.children[: segments - left].tolist()):
        region[(region[:, None] == torch.tensor(children)).any(1)] = segments + i
    return region[labels]


def in_mean_colors(photograph: np.ndarray, regions: Tensor) -> np.ndarray:
    """The photograph with each region in its mean colour, between lines."""
    _, number, counts = regions.unique(return_inverse=True, return_counts=True)
    pixels = torch.from_numpy(photograph.copy()).double().reshape(-1, 3)
    sums = torch.zeros(len(counts), 3, dtype=torch.float64).index_add(0, number.flatten(), pixels)
    means = (sums / counts[:, None])[number] / 255
    return mark_boundaries(means.numpy(), number.numpy(), color=(1, 1, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/selective_search.png")
    out = parser.parse_args().out
    photograph = skimage.data.coffee()
    image = torch.from_numpy(photograph.copy()).permute(2, 0, 1)
    labels = felzenszwalb(image)
    tree = group_regions(image, labels)
    boxes = selective_search(image)

    figure, axes = plt.subplots(2, 3, figsize=(12, 5.8), layout="constrained")
    axes = axes.flatten()
    axes[0].imshow(photograph)
    axes[0].set_title("photograph", fontsize=10)
    axes[1].imshow(in_mean_colors(photograph, labels))
    axes[1].set_title(f"1. over-segmentation: {len(tree.children) + 1} regions", fontsize=10)
    for axis, left in zip(axes[2:4], LEFT, strict=True):
        axis.imshow(in_mean_colors(photograph, merged(labels, tree, left)))
        axis.set_title(f"2. most similar neighbours merge: {left} left", fontsize=10)
    colors = plt.cm.hsv(np.linspace(0, 1, SHOWN, endpoint=False))
    axes[4].imshow(photograph)
    for (x1, y1, x2, y2), color in zip(boxes[:SHOWN].tolist(), colors, strict=True):
        axes[4].add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=color, lw=0.7))
    axes[4].set_title(f"3. boxes: {SHOWN} of {len(boxes)}", fontsize=10)
    iou, nearest = box_iou(torch.tensor(list(OBJECTS.values())).float(), boxes).max(1)
    axes[5].imshow(photograph)
    for box, color in zip(boxes[nearest].tolist(), ("#00d0a0", "#ffd000", "#ff4d6d"), strict=True):
        x1, y1, x2, y2 = box
        axes[5].add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=color, lw=2))
    found = ", ".join(f"{name} {value:.2f}" for name, value in zip(OBJECTS, iou, strict=True))
    axes[5].set_title(f"best IoU: {found}", fontsize=10)
    for axis in axes:
        axis.set_axis_off()
    figure.savefig(out, dpi=90)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
