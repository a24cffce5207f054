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
from fastcv.explain.nms import DROPPED, KEPT, draw_box, draw_nms_step, nms_steps


def candidates(
    image: np.ndarray, radii: range, min_votes: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Boxes ``[N, 4]`` about circles that edges support, and how much of the circle does."""
    votes = torch.from_numpy(hough_circle(canny(image, sigma=2.5), list(radii)))
    k, y, x = (votes >= min_votes).nonzero().unbind(1)
    radius = torch.tensor(list(radii))[k]
    boxes = torch.stack((x - radius, y - radius, x + radius, y + radius), dim=1).float()
    return boxes, votes[k, y, x].float()


def draw(
    image: np.ndarray, boxes: torch.Tensor, scores: torch.Tensor, threshold: float
) -> plt.Figure:
    """Six panels: all candidates, the first four steps, and what is left."""
    taken = nms_steps(boxes, scores, threshold)
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

    for number, (ax, (box, gone)) in enumerate(zip(middle, taken, strict=False)):
        draw_nms_step(ax, boxes, taken, number)
        ax.set_title(
            f"step {number + 1}: keep the best left (score {scores[box]:.2f}),\n"
            f"drop {len(gone)} that overlap it by more than {threshold:g}"
        )

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
    boxes, scores = candidates(image, range(14, 38), min_votes=0.34)
    figure = draw(image, boxes, scores, arguments.iou_threshold)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = arguments.out.with_name(arguments.out.name + ".tmp")
    figure.savefig(temporary, format="png", dpi=110)
    temporary.replace(arguments.out)
    left = len(ops.nms(boxes, scores, arguments.iou_threshold))
    print(f"{len(boxes)} windows, {left} left: {arguments.out}")


if __name__ == "__main__":
    main()
