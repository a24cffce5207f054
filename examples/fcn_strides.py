"""FCN-32s, FCN-16s and FCN-8s, trained alike: what a finer stride draws.

  python examples/fcn_strides.py --out docs/images/fcn_strides.png

A narrow FCN-32s learns where handwritten digits are. From it start, as in the paper, an FCN-16s and
an FCN-8s, and, to compare them with, another FCN-32s; these three see the same batches.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torch import Tensor

import fastcv
from fastcv.data import DrawnDigits
from fastcv.models.segmentation.fcn import FCN

NAMES = {"FCN-32s": "fcn32s_vgg16", "FCN-16s": "fcn16s_vgg16", "FCN-8s": "fcn8s_vgg16"}
FIRST, THEN = 140, 70  # steps of two images
SHOWN = (1, 4, 9)


def scenes(split: str, length: int) -> tuple[Tensor, Tensor]:
    """Images and where in them a digit is."""
    data = DrawnDigits(
        split, size=(192, 192), digit_size=(60.0, 110.0), max_digits=4, length=length
    )
    items = [data[i] for i in range(length)]
    labels = [target["masks"].any(0).long() for _, target in items]
    return torch.stack([image for image, _ in items]), torch.stack(labels)


def make(name: str) -> FCN:
    model = fastcv.create_model(name, num_classes=2, width=8, dropout=0.0)
    assert isinstance(model, FCN)
    return model


def train(model: FCN, images: Tensor, labels: Tensor, steps: int) -> None:
    inputs = model.prepare(list(images))
    generator = torch.Generator().manual_seed(steps)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    for _ in range(steps):
        batch = torch.randint(len(images), (2,), generator=generator)
        optimizer.zero_grad()
        model.loss(model(inputs[batch]), labels[batch])["cross_entropy"].backward()
        optimizer.step()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/fcn_strides.png")
    out = parser.parse_args().out
    torch.manual_seed(0)
    images, labels = scenes("train", 200)
    tests, truth = scenes("val", 24)
    start = make("fcn32s_vgg16")
    train(start, images, labels, FIRST)

    figure, axes = plt.subplots(len(SHOWN), 5, figsize=(11, 6.9), layout="constrained")
    shown = [tests[i] for i in SHOWN]
    columns = [("scene", shown), ("truth", [truth[i] for i in SHOWN])]
    for title, name in NAMES.items():
        model = make(name)
        model.start_from(start)
        train(model, images, labels, THEN)
        scores = torch.stack([result.scores[1] for result in model.predict(tests)])
        found = scores > 0.5
        iou = float((found & truth).sum() / (found | truth).sum())
        print(f"{title}: IoU {iou:.3f} on scenes with other handwriting and photographs")
        columns.append((f"{title}, IoU {iou:.2f}", [scores[i] for i in SHOWN]))
    for column, (title, pictures) in zip(axes.T, columns, strict=True):
        column[0].set_title(title, fontsize=11)
        for ax, picture in zip(column, pictures, strict=True):
            pixels = picture.permute(1, 2, 0) if picture.ndim == 3 else picture
            ax.imshow(pixels, cmap="gray", vmin=0, vmax=1)
            ax.set_xticks([])
            ax.set_yticks([])
    figure.savefig(out, dpi=90)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
