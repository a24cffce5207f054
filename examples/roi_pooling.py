"""What RoIPool and RoIAlign take of one proposal: their bins on a feature map, and the results.

    python examples/roi_pooling.py --out docs/images/roi_pooling.png

The map is a photograph's brightness in cells of 16 x 16 pixels, the stride of VGG-16's last
convolution.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import skimage.data
import torch
from matplotlib.patches import Rectangle
from torch.nn import functional as F

from fastcv.ops import roi_align, roi_pool

STRIDE, BINS, SAMPLES = 16, 7, 2
PROPOSAL = (150.0, 45.0, 398.0, 289.0)  # head and camera
BOX, GRID = "#e6550d", "#3182bd"


def pool_edges(low: float, high: float) -> list[tuple[int, int]]:
    """First cell and the one past the last, of each bin of RoIPool along one axis."""
    first, last = round(low / STRIDE), round(high / STRIDE)
    length = max(last - first + 1, 1)
    return [
        (first + i * length // BINS, first + math.ceil((i + 1) * length / BINS))
        for i in range(BINS)
    ]


def show_map(axis: plt.Axes, cells: torch.Tensor, title: str) -> None:
    axis.imshow(cells, cmap="gray", extent=(0, cells.shape[1], cells.shape[0], 0), vmin=0, vmax=1)
    x1, y1, x2, y2 = (v / STRIDE for v in PROPOSAL)
    axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=BOX, lw=2))
    axis.set(title=title, xlim=(x1 - 2, x2 + 2), ylim=(y2 + 2, y1 - 2), xticks=(), yticks=())


def draw(path: Path) -> None:
    """The photograph, both kinds of bins, both results."""
    photograph = torch.from_numpy(skimage.data.camera()).float()[None, None] / 255
    cells = F.avg_pool2d(photograph, STRIDE)
    rois = torch.tensor([[0.0, *PROPOSAL]])
    pooled = roi_pool(cells, rois, BINS, 1 / STRIDE)[0, 0]
    aligned = roi_align(cells, rois, BINS, 1 / STRIDE, SAMPLES, aligned=True)[0, 0]

    figure, axes = plt.subplots(1, 5, figsize=(15, 3.7), layout="constrained")
    x1, y1, x2, y2 = PROPOSAL
    axes[0].imshow(photograph[0, 0], cmap="gray")
    axes[0].add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=BOX, lw=2))
    axes[0].set(title="a proposal", xticks=(), yticks=())

    show_map(axes[1], cells[0, 0], "RoIPool: whole cells, bins overlap")
    for top, bottom in pool_edges(y1, y2):
        for left, right in pool_edges(x1, x2):
            inset = 0.08  # so that those which share cells are told apart
            corner, size = (left + inset, top + inset), (right - left, bottom - top)
            axes[1].add_patch(
                Rectangle(
                    corner, size[0] - 2 * inset, size[1] - 2 * inset, fill=False, edgecolor=GRID
                )
            )
    axes[2].imshow(pooled, cmap="gray", vmin=0, vmax=1)
    axes[2].set(title=f"its result: the maximum\nof each, {BINS} x {BINS}", xticks=(), yticks=())

    show_map(axes[3], cells[0, 0], "RoIAlign: bins where the box is")
    step_x, step_y = (x2 - x1) / STRIDE / BINS, (y2 - y1) / STRIDE / BINS
    for row in range(BINS):
        for column in range(BINS):
            corner = (x1 / STRIDE + column * step_x, y1 / STRIDE + row * step_y)
            axes[3].add_patch(Rectangle(corner, step_x, step_y, fill=False, edgecolor=GRID))
            for i in range(SAMPLES):
                for j in range(SAMPLES):
                    axes[3].plot(
                        corner[0] + (i + 0.5) * step_x / SAMPLES,
                        corner[1] + (j + 0.5) * step_y / SAMPLES,
                        ".",
                        color=BOX,
                        markersize=2.5,
                    )
    axes[4].imshow(aligned, cmap="gray", vmin=0, vmax=1)
    axes[4].set(title="its result: the mean of four\nsamples each", xticks=(), yticks=())
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("roi_pooling.png"))
    path = parser.parse_args().out
    draw(path)
    print(f"bins and results of both: {path}")


if __name__ == "__main__":
    main()
