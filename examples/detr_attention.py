"""What DETR's queries are matched with, and where the network looks, as a picture.

    python examples/detr_attention.py --out docs/images/detr_attention.png

Trains a small DETR on twelve scenes of drawn digits until it knows them by heart. Above: which
query has which object before and after, and what every pair would cost. Below: where the last
decoder layer looks for each object, and the last encoder layer from a point.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor

import fastcv
from fastcv.data import DrawnDigits
from fastcv.models.detection.detr import DETR
from fastcv.ops import box_convert, generalized_box_iou

SCENES = {"size": (128, 128), "max_digits": 3, "digit_size": (36, 60), "max_angle": 15}


def untrained() -> DETR:
    """A DETR whose cells are 16 pixels large."""
    torch.manual_seed(0)
    model = fastcv.create_model(
        "detr_resnet18",
        dilated=True,
        num_classes=11,
        num_queries=10,
        width=16,
        channels=64,
        heads=4,
        encoder_layers=2,
        decoder_layers=2,
        feedforward=128,
        dropout=0.0,
        min_size=128,
        max_size=160,
    )
    model.classes = DrawnDigits.classes
    return model


def train(model: DETR, scenes: list[tuple[Tensor, dict]], steps: int) -> None:
    """So many steps of these scenes."""
    images, targets = map(list, zip(*scenes, strict=True))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4)
    for step in range(1, steps + 1):
        losses = model.loss(model(images), targets)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()
        if step % 20 == 0:
            terms = ", ".join(f"{n} {losses[n].item():.3f}" for n in list(losses)[:3])
            print(f"step {step} of {steps}: {terms}", flush=True)


def costs(model: DETR, image: Tensor, target: dict) -> tuple[Tensor, Tensor, Tensor]:
    """What each pair of query and object costs ``[Q, N]``, and which of them are matched."""
    model.eval()
    with torch.no_grad():
        output = model([image])
    targets = target["boxes"] / image.shape[1]  # the scenes are squares
    found = box_convert(output.boxes[0], "cxcywh", "xyxy")
    loss = model.set_loss
    cost = (
        loss.l1_weight * torch.cdist(output.boxes[0], box_convert(targets, "xyxy", "cxcywh"), p=1)
        - loss.giou_weight * generalized_box_iou(found, targets)
        - loss.class_weight * output.logits[0].softmax(-1)[:, target["labels"]]
    )
    objects = [(target["labels"], box_convert(targets, "xyxy", "cxcywh"))]
    ((queries, columns),) = loss.match(output.logits, output.boxes, objects)
    model.train()
    return cost, queries, columns


def draw_costs(axis: plt.Axes, title: str, cost: Tensor, matched: tuple, names: list[str]) -> None:
    axis.set_title(title, fontsize=10)
    axis.imshow(cost.T, cmap="Blues", aspect="auto", vmin=-4, vmax=12)
    axis.plot(*matched, "s", mfc="none", mec="#ff3b5c", ms=22, mew=2.5)
    for query, row in enumerate(cost.tolist()):
        for column, value in enumerate(row):
            axis.text(query, column, f"{value:.1f}", ha="center", va="center", fontsize=9)
    axis.set_xticks(range(len(cost)))
    axis.set_yticks(range(len(names)), [f"object {name}" for name in names])
    axis.set_xlabel("query")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/detr_attention.png")
    parser.add_argument("--steps", type=int, default=150, help="of training")
    arguments = parser.parse_args()
    digits = DrawnDigits("train", **SCENES)
    scenes = [digits[i] for i in range(12)]
    image, target = max(scenes, key=lambda scene: len(scene[1]["labels"]))
    names = [DrawnDigits.classes[label] for label in target["labels"]]

    model = untrained()
    before = costs(model, image, target)
    train(model, scenes, arguments.steps)
    after = costs(model, image, target)
    x1, y1, x2, y2 = target["boxes"][0].tolist()
    maps = model.attention_maps(image, points=[((x1 + x2) / 2, (y1 + y2) / 2)])

    figure, axes = plt.subplot_mosaic(
        [["before", "after"], ["maps", "maps"]],
        figsize=(12, 6.6),
        height_ratios=[1, 1.7],
        layout="constrained",
    )
    draw_costs(axes["before"], "cost and matching before training", before[0], before[1:], names)
    draw_costs(axes["after"], f"after {arguments.steps} steps", after[0], after[1:], names)
    axes["maps"].imshow(np.asarray(maps.draw(image)))
    axes["maps"].set_title(
        "attention of the decoder for each object it found; of the encoder from the marked point",
        fontsize=10,
    )
    axes["maps"].set_axis_off()
    figure.savefig(arguments.out, dpi=90)
    print(f"{maps}, {maps.detections}: wrote {arguments.out}")


if __name__ == "__main__":
    main()
