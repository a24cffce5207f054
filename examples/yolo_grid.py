"""What the cells of YOLO v1 say of a picture, step by step, as in the paper's figure 2.

    python examples/yolo_grid.py --out docs/images/yolo_grid.png

Trains a small YOLO v1 on twelve scenes of drawn digits until it knows them by heart, and draws what
it says of one of them.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from matplotlib.patches import Rectangle
from torch import Tensor

import fastcv
from fastcv.data import DrawnDigits
from fastcv.models.detection.yolov1 import YOLOv1
from fastcv.ops import box_convert

SCENES = {"size": (128, 128), "max_digits": 3, "digit_size": (30, 56), "max_angle": 15}
GRID = 4
COLOURS = plt.get_cmap("tab10").colors


def twelve_scenes() -> list[tuple[Tensor, dict]]:
    digits = DrawnDigits("train", **SCENES)
    return [digits[i] for i in range(12)]


def trained(scenes: list[tuple[Tensor, dict]], steps: int) -> YOLOv1:
    """A YOLO v1 of an eighth of the width, after so many steps of these scenes."""
    torch.manual_seed(0)
    model = fastcv.create_model(
        "yolov1",
        num_classes=11,
        grid=GRID,
        last_stride=1,
        width=8,
        hidden=128,
        batch_norm=True,
        dropout=0.0,
    )
    model.classes = DrawnDigits.classes
    images, targets = map(list, zip(*scenes, strict=True))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for step in range(1, steps + 1):
        losses = model.loss(model(images), targets)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        if step % 20 == 0:
            terms = ", ".join(f"{name} {term.item():.3f}" for name, term in losses.items())
            print(f"step {step} of {steps}: {terms}", flush=True)
    return model.eval()


def draw_grid(axis: plt.Axes, image: Tensor, boxes: Tensor, labels: Tensor) -> None:
    """The cells, and those that answer for an object."""
    side = image.shape[1] / GRID
    axis.set_title(f"{GRID} x {GRID} cells; those with an object's\ncentre answer for it")
    for i in range(1, GRID):
        axis.axhline(i * side, color="white", lw=0.8)
        axis.axvline(i * side, color="white", lw=0.8)
    for (x1, y1, x2, y2), label in zip(boxes.tolist(), labels.tolist(), strict=True):
        x, y, colour = (x1 + x2) / 2, (y1 + y2) / 2, COLOURS[label - 1]
        cell = (x // side * side, y // side * side)
        axis.add_patch(Rectangle(cell, side, side, fc=(*colour, 0.45), ec=colour, lw=2))
        axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=colour, lw=1.5))
        axis.plot(x, y, "o", color=colour, mec="white", ms=6)


def draw_boxes(axis: plt.Axes, size: int, boxes: Tensor, confidence: Tensor) -> None:
    """Every box of every cell; the line is the thicker the surer it is of an object."""
    axis.set_title("boxes of all cells,\nby their confidence")
    corners = box_convert(boxes.flatten(0, 2), "cxcywh", "xyxy") * size
    for box, sure in zip(corners.tolist(), confidence.flatten().tolist(), strict=True):
        x1, y1, x2, y2 = box
        sure = min(max(sure, 0.0), 1.0)
        axis.add_patch(
            Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec="black", lw=0.4 + 4 * sure)
        )
        axis.add_patch(
            Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec="white", lw=0.2 + 2 * sure)
        )


def draw_classes(axis: plt.Axes, size: int, classes: Tensor) -> None:
    """The likeliest digit of each cell, whether or not there is one."""
    side = size / GRID
    axis.set_title("each cell's class,\nif there is an object")
    for row in range(GRID):
        for column in range(GRID):
            digit = int(classes[row, column].argmax())
            at = (column * side, row * side)
            axis.add_patch(Rectangle(at, side, side, fc=(*COLOURS[digit], 0.6), ec="white"))
            axis.text(at[0] + side / 2, at[1] + side / 2, str(digit), ha="center", va="center")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/yolo_grid.png")
    parser.add_argument("--steps", type=int, default=120, help="of training")
    arguments = parser.parse_args()
    scenes = twelve_scenes()
    model = trained(scenes, arguments.steps)
    image, target = max(scenes, key=lambda scene: len(scene[1]["labels"]))
    with torch.no_grad():
        output = model([image])
    predictions = model.split(output.predictions)
    (found,) = model.postprocess(output, score_threshold=0.25)

    figure, axes = plt.subplots(1, 4, figsize=(13, 3.9), layout="constrained")
    for axis in axes:
        axis.imshow(image.permute(1, 2, 0), extent=(0, image.shape[2], image.shape[1], 0))
        axis.set(xlim=(0, image.shape[2]), ylim=(image.shape[1], 0))
        axis.set_axis_off()
    draw_grid(axes[0], image, target["boxes"], target["labels"])
    draw_boxes(axes[1], image.shape[1], predictions.decoded()[0], predictions.confidence[0])
    draw_classes(axes[2], image.shape[1], predictions.classes[0])
    axes[3].set_title("confidence times class,\nafter NMS")
    for (x1, y1, x2, y2), label, score in zip(
        found.boxes.tolist(), found.labels.tolist(), found.scores.tolist(), strict=True
    ):
        colour = COLOURS[label - 1]
        axes[3].add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=colour, lw=2.5))
        text = f"{found.name_of(label)} {score:.2f}"
        axes[3].text(x1 + 4, y1 + 10, text, color="white", backgroundcolor=colour, fontsize=8)
    figure.savefig(arguments.out, dpi=90)
    print(f"{found}: wrote {arguments.out}")


if __name__ == "__main__":
    main()
