"""RetinaNet's anchors on a photograph, level by level, and what loss they begin with.

python examples/retinanet_anchors.py --out docs/images/retinanet_anchors.png
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import skimage
import torch
from matplotlib.patches import Rectangle

import fastcv
from fastcv.nn.detection.matching import BETWEEN, Matcher
from fastcv.ops import box_iou, sigmoid_focal_loss

OBJECTS = torch.tensor([[160.0, 55, 275, 205], [15.0, 45, 445, 511], [388.0, 5, 478, 262]])
CLASSES = 80
MATCHED, BETWEEN_COLOUR, CELL = "#00d0a0", "#ff9f43", "#ffffff"


def draw_box(ax: plt.Axes, box: torch.Tensor, colour: str, width: float, alpha: float) -> None:
    x1, y1, x2, y2 = box.tolist()
    ax.add_patch(
        Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=colour, lw=width, alpha=alpha)
    )


def first_losses(matches: torch.Tensor) -> dict[str, tuple[float, float]]:
    """For an untrained network, the loss of object anchors and of background, each an object."""
    objects, background = int((matches >= 0).sum()), int((matches == -1).sum())

    def of(probability: float, alpha: float, gamma: float) -> tuple[float, float]:
        logit = torch.tensor([math.log(probability / (1 - probability))])
        yes, no = (
            sigmoid_focal_loss(logit, torch.tensor([t]), alpha, gamma).item() for t in (1, 0)
        )
        wrong_classes = objects * (CLASSES - 1) + background * CLASSES
        return yes, wrong_classes * no / objects

    return {
        "cross-entropy,\np = 0.5": of(0.5, -1, 0),
        "cross-entropy,\np = 0.01": of(0.01, -1, 0),
        "focal loss,\np = 0.01": of(0.01, 0.25, 2),
    }


def draw_losses(ax: plt.Axes, losses: dict[str, tuple[float, float]]) -> None:
    for i, (yes, no) in enumerate(losses.values()):
        ax.bar(i - 0.2, yes, 0.38, color=MATCHED)
        ax.bar(i + 0.2, no, 0.38, color="#9aa0a6")
        for x, value in ((i - 0.2, yes), (i + 0.2, no)):
            ax.text(
                x,
                value * 1.15,
                f"{value:,.2g}" if value < 10 else f"{value:,.0f}",
                ha="center",
                fontsize=8,
            )
    ax.set_yscale("log")
    ax.set_ylim(top=max(no for _, no in losses.values()) * 6)
    ax.set_xticks(range(len(losses)), list(losses), fontsize=8)
    ax.set_title(
        f"loss of an object's anchor and its share\nof the background, {CLASSES} classes",
        fontsize=10,
    )
    ax.spines[["top", "right"]].set_visible(False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images/retinanet_anchors.png"))
    out = parser.parse_args().out

    photograph = skimage.data.astronaut()
    size = photograph.shape[0]
    with torch.device("meta"):
        model = fastcv.create_model("retinanet_resnet50_fpn")
    grids = [torch.zeros(1, 1, size // s, size // s) for s in (8, 16, 32, 64, 128)]
    levels = model.anchor_generator((size, size), grids)
    matches = Matcher(0.5, 0.4, allow_low_quality_matches=True)(box_iou(OBJECTS, torch.cat(levels)))
    figure, axes = plt.subplots(2, 3, figsize=(11, 7.6), layout="constrained")
    split = matches.split([len(level) for level in levels])
    for i, (ax, level, match, grid) in enumerate(
        zip(axes.flat, levels, split, grids, strict=False)
    ):
        cells = grid.shape[-1]
        ax.imshow(photograph, alpha=0.75)
        ax.set(xlim=(0, size), ylim=(size, 0))
        ax.set_axis_off()
        middle = (cells // 2 * cells + cells // 2) * 9
        for box in level[middle : middle + 9]:
            draw_box(ax, box, CELL, 0.9, 1.0)
        for value, colour in ((BETWEEN, BETWEEN_COLOUR), (0, MATCHED)):
            for box in level[match == value if value < 0 else match >= 0]:
                draw_box(ax, box, colour, 1.0, 0.6)
        objects, neither = int((match >= 0).sum()), int((match == BETWEEN).sum())
        ax.set_title(
            f"P{i + 3}: {cells} x {cells} cells, {len(level)} anchors\n"
            f"{objects} are objects, {neither} count for nothing",
            fontsize=10,
        )
    draw_losses(axes.flat[-1], first_losses(matches))
    handles = [
        Rectangle((0, 0), 1, 1, fill=False, ec=c, lw=2)
        for c in (MATCHED, BETWEEN_COLOUR, "#888888")
    ]
    names = [
        "object: IoU 0.5 and more",
        "neither: IoU 0.4 to 0.5",
        "the nine anchors of the middle cell",
    ]
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(out, dpi=100)
    for name, (yes, no) in first_losses(matches).items():
        print(f"{' '.join(name.split()):28} object {yes:8.4f}  background {no:12.4f}")
    print(f"{len(matches)} anchors, {int((matches >= 0).sum())} objects: {out}")


if __name__ == "__main__":
    main()
