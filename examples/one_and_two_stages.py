"""From anchors to detections, step by step; and a two-stage detector beside a single-stage one.

    python examples/one_and_two_stages.py --out docs/images

Writes ``detection_steps.png``, the Faster R-CNN that ships on a scene it never saw, and
``one_and_two_stages.png``, the same beside a small YOLO v1 that knows its scenes by heart.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torch import Tensor
from yolo_grid import COLOURS, draw_boxes, draw_grid, trained, twelve_scenes

import fastcv
from fastcv.data import DrawnDigits
from fastcv.explain import detection_steps
from fastcv.explain.nms import draw_box
from fastcv.models.detection._detector import Detector
from fastcv.nn.detection.transform import resize_boxes
from fastcv.recipes.detection.digits_detector.recipe import WEIGHTS
from fastcv.results import Detections

PROPOSALS = 60


def draw_found(axis: plt.Axes, found: Detections) -> None:
    for i, box in enumerate(found.boxes):
        label = int(found.labels[i])
        colour = COLOURS[label - 1]
        draw_box(axis, box, colour, 2.5)
        text = f"{found.name_of(label)} {found.scores[i]:.2f}"
        x, y = box[:2].tolist()
        axis.text(x + 4, y + 10, text, color="white", backgroundcolor=colour, fontsize=8)


def draw_proposals(axis: plt.Axes, model: fastcv.models.ImageModel, image: Tensor) -> int:
    """The best proposals of the first stage; how many there are."""
    with torch.no_grad():
        output = model.eval()([image])
    (size,), (own,) = output.batch.sizes, output.batch.original_sizes
    proposals = resize_boxes(output.proposals[0], size, own)
    for box in proposals[:PROPOSALS].flip(0):  # they come by falling objectness
        draw_box(axis, box, "white", 0.8, 0.7)
    return len(proposals)


def side_by_side(image: Tensor, target: dict, two: Detector, one: Detector):
    """Above two stages, below one."""
    figure, axes = plt.subplots(2, 3, figsize=(10, 7.4), layout="constrained")
    for axis in axes.flat:
        axis.imshow(image.permute(1, 2, 0), extent=(0, image.shape[2], image.shape[1], 0))
        axis.set(xlim=(0, image.shape[2]), ylim=(image.shape[1], 0))
        axis.set_axis_off()
    steps = detection_steps(two, image, score_threshold=0.7)
    every = torch.cat(steps.anchors)
    for anchor in every[:: len(every) // 150]:
        draw_box(axes[0, 0], anchor, "white", 0.5, 0.6)
    axes[0, 0].set_title(f"Faster R-CNN: {len(every):,} anchors\n(some of them)")
    count = draw_proposals(axes[0, 1], two, image)
    axes[0, 1].set_title(
        f"first stage: is there anything?\n{count} proposals, the {PROPOSALS} best"
    )
    draw_found(axes[0, 2], steps.found)
    axes[0, 2].set_title("second stage: what is in each,\nand where exactly")

    with torch.no_grad():
        output = one([image])
    predictions = one.split(output.predictions)
    draw_grid(axes[1, 0], image, target["boxes"], target["labels"])
    axes[1, 0].set_title(f"YOLO v1: {one.grid} x {one.grid} cells")
    draw_boxes(axes[1, 1], image.shape[1], predictions.decoded()[0], predictions.confidence[0])
    axes[1, 1].set_title("the only stage: each cell names\nits boxes and a class")
    draw_found(axes[1, 2], one.postprocess(output, score_threshold=0.25)[0])
    axes[1, 2].set_title("after NMS")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="a folder")
    out = parser.parse_args().out
    model = fastcv.load_model(WEIGHTS)
    image, target = DrawnDigits("test")[33]
    steps = detection_steps(model, image, truth=target["boxes"], score_threshold=0.5)
    steps.save(out / "detection_steps.png")
    print(f"{len(steps.candidates)} candidates, {len(steps.found)} left")

    scenes = twelve_scenes()
    image, target = max(scenes, key=lambda scene: len(scene[1]["labels"]))
    figure = side_by_side(image, target, model, trained(scenes, steps=100))
    figure.savefig(out / "one_and_two_stages.png", dpi=90)
    print(f"wrote two pictures to {out}")


if __name__ == "__main__":
    main()
