"""What a tile of the paper's U-Net is given and labels; and what its bridges are for, as a picture.

  python examples/unet_bridges.py --out docs/images/unet.png

A small U-Net, and the same with its bridges cut (they carry zeros), learn coins from the left half
of scikit-image's photograph and are tried on the right half.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import skimage.data
import skimage.filters
import skimage.segmentation
import torch
from matplotlib.patches import Rectangle
from scipy import ndimage
from torch import Tensor, nn

import fastcv
from fastcv.models.segmentation.unet import Up

STEPS = 80
CROP = 96
"""Pixels."""


def coins() -> tuple[Tensor, Tensor]:
    """The photograph ``[1, H, W]`` in [0, 1] and its coins ``[H, W]``, found by their edges."""
    photograph = skimage.data.coins()
    edges = skimage.filters.sobel(photograph)
    markers = np.zeros(photograph.shape, np.int32)
    markers[photograph < 30], markers[photograph > 150] = 1, 2
    labels = skimage.segmentation.watershed(edges, markers) == 2
    labels = ndimage.binary_opening(ndimage.binary_fill_holes(labels), iterations=3)
    return torch.from_numpy(photograph)[None] / 255, torch.from_numpy(labels).long()


def make(bridges: bool) -> nn.Module:
    torch.manual_seed(0)
    model = fastcv.create_model("unet", in_channels=1, width=8)
    if not bridges:
        for module in model.modules():
            if isinstance(module, Up):
                module.register_forward_pre_hook(lambda _, inputs: (inputs[0], 0 * inputs[1]))
    return model


def train(model: fastcv.models.ImageModel, image: Tensor, labels: Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    ends = (image.shape[1] - CROP, image.shape[2] - CROP)
    for _ in range(STEPS):
        corners = [[int(torch.randint(e, (), generator=generator)) for e in ends] for _ in range(8)]
        parts = [(slice(y, y + CROP), slice(x, x + CROP)) for y, x in corners]
        batch = torch.stack([image[:, rows, columns] for rows, columns in parts])
        targets = torch.stack([labels[part] for part in parts])
        optimizer.zero_grad()
        model.loss(model(batch), targets)["cross_entropy"].backward()
        optimizer.step()


def draw_tile(ax: plt.Axes, image: Tensor) -> None:
    """Figure 2 of the paper: a tile at the picture's corner."""
    mirrored = np.pad(image[0], 92, mode="reflect")
    height, width = image.shape[1:]
    ax.imshow(mirrored, cmap="gray", extent=(-92, width + 92, height + 92, -92))
    ax.add_patch(Rectangle((0, 0), width, height, fill=False, edgecolor="#bbb", lw=1.5))
    for corner, side, color in (((-92, -92), 424, "tab:blue"), ((0, 0), 240, "#ffd60a")):
        ax.add_patch(Rectangle(corner, side, side, fill=False, edgecolor=color, lw=2.5))
    ax.set_title("blue: what a tile is given; yellow: what it labels", fontsize=10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/unet.png")
    out = parser.parse_args().out
    image, labels = coins()
    middle = image.shape[2] // 2
    figure, axes = plt.subplots(
        1, 4, figsize=(12.5, 4.4), layout="constrained", width_ratios=[1.35, 1, 1, 1]
    )
    draw_tile(axes[0], image)
    test, truth = image[..., middle:], labels[:, middle:]
    axes[1].imshow(test[0], cmap="gray")
    axes[1].set_title("photograph", fontsize=10)
    for ax, bridges in zip(axes[2:], (True, False), strict=True):
        model = make(bridges)
        train(model, image[..., :middle], labels[:, :middle])
        (found,) = model.predict(test)
        iou = float((found.labels & truth).sum() / (found.labels | truth).sum())
        name = "with bridges" if bridges else "bridges cut"
        print(f"{name}: IoU {iou:.3f}")
        ax.imshow(found.scores[1], cmap="gray", vmin=0, vmax=1)
        ax.set_title(f"{name}: coin or not, IoU {iou:.2f}", fontsize=10)
    for ax in axes:
        ax.set_xticks([])
        ax.set_yticks([])
    figure.savefig(out, dpi=90)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
