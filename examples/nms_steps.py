"""Non-maximum suppression on a photograph, step by step, as a picture.

    python examples/nms_steps.py --out demo/nms_steps.png

Finds coins in scikit-image's photograph of Greek coins: a window of every size slides over the
edges of the image, and its score is how much of a circle they form in it. About each coin many
windows score well; NMS keeps one of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import skimage
import torch
from matplotlib.patches import Rectangle
from skimage.feature import canny
from skimage.transform import hough_circle

import fastcv.ops as ops

KEPT, DROPPED, OTHER = "#00d0a0", "#ff4d6d", "#ffffff"


def candidates(image: np.ndarray, radii: range, least: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes ``[N, 4]`` about circles that edges support, and how much of the circle does."""
    votes = torch.from_numpy(hough_circle(canny(image, sigma=2.5), list(radii)))
    k, y, x = (votes >= least).nonzero().unbind(1)
    radius = torch.tensor(list(radii))[k]
    boxes = torch.stack((x - radius, y - radius, x + radius, y + radius), dim=1).float()
    return boxes, votes[k, y, x].float()


def steps(
    boxes: torch.Tensor, scores: torch.Tensor, threshold: float
) -> list[tuple[int, list[int]]]:
    """What NMS does, in order: each box it keeps, and those that go because of it."""
    keep = ops.nms(boxes, scores, threshold)
    left = torch.ones(len(boxes), dtype=torch.bool)
    iou = ops.box_iou(boxes[keep], boxes)
    out = []
    for row, box in zip(iou, keep.tolist(), strict=True):
        left[box] = False
        gone = (left & (row > threshold)).nonzero().flatten().tolist()
        left[gone] = False
        out.append((box, gone))
    return out


def draw_box(
    ax: plt.Axes, box: torch.Tensor, colour: str, width: float, alpha: float = 1.0
) -> None:
    x1, y1, x2, y2 = box.tolist()
    ax.add_patch(
        Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=colour, lw=width, alpha=alpha)
    )


def draw(
    image: np.ndarray, boxes: torch.Tensor, scores: torch.Tensor, threshold: float
) -> plt.Figure:
    """Six panels: all candidates, the first four steps, and what is left."""
    taken = steps(boxes, scores, threshold)
    figure, axes = plt.subplots(2, 3, figsize=(13, 7.4), layout="constrained")
    for ax in axes.flat:
        ax.imshow(image, cmap="gray", vmin=0, vmax=255)
        ax.set_axis_off()
        ax.set_xlim(0, image.shape[1])
        ax.set_ylim(image.shape[0], 0)

    first, *middle, last = axes.flat
    first.set_title(f"before: {len(boxes)} windows that score")
    for i in scores.argsort().tolist():
        draw_box(first, boxes[i], plt.cm.plasma(float(scores[i])), 0.6, 0.5)

    alive = torch.ones(len(boxes), dtype=torch.bool)
    kept: list[int] = []
    for number, (ax, (box, gone)) in enumerate(zip(middle, taken, strict=False), start=1):
        for i in alive.nonzero().flatten().tolist():
            draw_box(ax, boxes[i], OTHER, 0.4, 0.25)
        for i in gone:
            draw_box(ax, boxes[i], DROPPED, 1.0, 0.9)
        for i in [*kept, box]:
            draw_box(ax, boxes[i], KEPT, 1.8)
        ax.set_title(
            f"step {number}: keep the best left (score {scores[box]:.2f}),\n"
            f"drop {len(gone)} that overlap it by more than {threshold:g}"
        )
        kept.append(box)
        alive[[box, *gone]] = False

    last.set_title(f"after {len(taken)} steps: {len(taken)} boxes left")
    for box, _ in taken:
        draw_box(last, boxes[box], KEPT, 2.4)
        last.text(
            boxes[box, 0] + 2, boxes[box, 1] - 3, f"{scores[box]:.2f}", color=KEPT, fontsize=8
        )
    handles = [
        Rectangle((0, 0), 1, 1, fill=False, ec=colour, lw=2)
        for colour in (KEPT, DROPPED, "#888888")
    ]
    names = ["kept", "dropped in this step", "still to be looked at"]
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("demo/nms_steps.png"))
    parser.add_argument("--iou-threshold", type=float, default=0.2)
    arguments = parser.parse_args()

    image = skimage.data.coins()
    boxes, scores = candidates(image, range(14, 38), least=0.34)
    figure = draw(image, boxes, scores, arguments.iou_threshold)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = arguments.out.with_name(arguments.out.name + ".tmp")
    figure.savefig(temporary, format="png", dpi=110)
    temporary.replace(arguments.out)
    left = len(ops.nms(boxes, scores, arguments.iou_threshold))
    print(f"{len(boxes)} windows, {left} left: {arguments.out}")


if __name__ == "__main__":
    main()
