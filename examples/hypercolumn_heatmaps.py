"""Heatmaps on boxes by one layer, by hypercolumns, and by a grid of classifiers, as a picture.

  python examples/hypercolumn_heatmaps.py --out docs/images/hypercolumns.png

The trunk is a narrow VGG-16 with random weights; only the classifiers of pixels are trained, on
masks of handwritten digits, so that what is drawn is what the layers hold.
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
from fastcv.models.segmentation.hypercolumns import Hypercolumns

STEPS, DIGITS = 400, 192
FORMS = {
    "fc7 alone": {"layers": ("fc7",), "grid": 5},
    "pool5 alone": {"layers": ("pool5",), "grid": 5},
    "pool2, conv4, fc7\ngrid 1": {"grid": 1},
    "pool2, conv4, fc7\ngrid 5": {"grid": 5},
}


def boxes_of(split: str, count: int, model: Hypercolumns) -> tuple[Tensor, Tensor, Tensor]:
    """Crops, labels and target heatmaps of so many digits."""
    data = DrawnDigits(split, size=(160, 160), digit_size=(50.0, 100.0), max_digits=2)
    crops, labels, masks = [], [], []
    for image, target in data:
        crops.append(model.crop(image, target["boxes"]))
        masks.append(model.crop_masks(target["masks"], target["boxes"]))
        labels.append(target["labels"].clamp(max=1))  # a digit is a digit
        if sum(map(len, labels)) >= count:
            break
    return torch.cat(crops)[:count], torch.cat(labels)[:count], torch.cat(masks)[:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/hypercolumns.png")
    out = parser.parse_args().out
    figure, axes = plt.subplots(4, 2 + len(FORMS), figsize=(10.5, 7.4), layout="constrained")
    for column, (title, form) in enumerate(FORMS.items(), 2):
        torch.manual_seed(0)
        model = fastcv.create_model("hypercolumns_vgg16", num_classes=2, width=8, **form)
        crops, labels, masks = boxes_of("train", DIGITS, model)
        tests, _, truth = boxes_of("val", 24, model)
        with torch.no_grad():
            maps = model.maps(crops)
        optimizer = torch.optim.Adam([*model.classifiers.parameters(), model.bias], lr=0.01)
        for _ in range(STEPS):
            batch = torch.randint(DIGITS, (8,))
            heatmaps = model.heatmaps({name: x[batch] for name, x in maps.items()})
            optimizer.zero_grad()
            model.loss(heatmaps, (labels[batch], masks[batch]))["log_loss"].backward()
            optimizer.step()
        with torch.no_grad():
            heatmaps = model(tests)[:, 1]
        found, right = heatmaps > 0.5, truth > 0.5
        iou = float((found & right).sum() / (found | right).sum())
        print(f"{title!r}: IoU {iou:.3f}")
        axes[0, column].set_title(f"{title}\nIoU {iou:.2f}", fontsize=10)
        for row in range(len(axes)):
            axes[row, column].imshow(heatmaps[row], cmap="gray", vmin=0, vmax=1)
    axes[0, 0].set_title("box, a fifth larger", fontsize=10)
    axes[0, 1].set_title("mask", fontsize=10)
    mean, std = (torch.tensor(model.preprocessing[key])[:, None, None] for key in ("mean", "std"))
    for row in range(len(axes)):
        axes[row, 0].imshow((tests[row] * std + mean).clamp(0, 1).permute(1, 2, 0))
        axes[row, 1].imshow(truth[row], cmap="gray")
    for ax in axes.flat:
        ax.set_xticks([])
        ax.set_yticks([])
    figure.savefig(out, dpi=90)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
