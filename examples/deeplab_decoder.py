"""The decoder of DeepLab v3+ brings the edges back: v3 and v3+ on drawn digits, as a picture.

    python examples/deeplab_decoder.py --out docs/images/deeplab_decoder.png

Both learn to tell digits from photographs for as many steps, on the same small trunk at output
stride 16.
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

SIZE = (129, 129)
SHOWN = (3, 8, 12)


def items(split: str, indices: range | tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Images ``[N, 3, H, W]``, and where their digits are ``[N, H, W]``."""
    digits = DrawnDigits(split, size=SIZE, digit_size=(32.0, 64.0), max_digits=4)
    images, targets = zip(*(digits[i] for i in indices), strict=True)
    return torch.stack(images), torch.stack([t["masks"].any(0).long() for t in targets])


def trained(
    name: str, images: Tensor, labels: Tensor, steps: int, **config: int
) -> fastcv.models.ImageModel:
    """A segmenter that has learned for so many steps of four images."""
    torch.manual_seed(0)
    model = fastcv.create_model(name, num_classes=2, output_stride=16, width=16, **config)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    scheduler = torch.optim.lr_scheduler.PolynomialLR(optimizer, steps, power=0.9)
    prepared = model.prepare(list(images))
    for step in range(steps):
        batch = torch.arange(4 * step, 4 * step + 4) % len(images)
        optimizer.zero_grad()
        losses = model.loss(model(prepared[batch]), labels[batch])
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        scheduler.step()
    return model


def iou(found: Tensor, labels: Tensor) -> float:
    """Intersection over union of the digits."""
    both, either = (found == 1) & (labels == 1), (found == 1) | (labels == 1)
    return float(both.sum() / either.sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/deeplab_decoder.png")
    parser.add_argument("--steps", type=int, default=100)
    arguments = parser.parse_args()
    images, labels = items("train", range(400))
    unseen, truth = items("val", range(40))
    columns = [("truth", truth)]
    for title, name, config in (
        ("v3", "deeplabv3_resnet50", {"aspp_channels": 64}),
        ("v3+", "deeplabv3plus_resnet50", {"decoder_channels": 64}),
    ):
        model = trained(name, images, labels, arguments.steps, **config)
        found = torch.stack([result.labels for result in model.predict(list(unseen))])
        columns.append((f"{title}: IoU {100 * iou(found, truth):.0f} %", found))
    figure, axes = plt.subplots(len(SHOWN), 3, figsize=(8, 8), layout="constrained")
    for row, index in zip(axes, SHOWN, strict=True):
        for axis, (title, found) in zip(row, columns, strict=True):
            seen = unseen[index] * (0.3 + 0.7 * found[index])
            axis.imshow(seen.permute(1, 2, 0), interpolation="nearest")
            axis.set_axis_off()
            if index == SHOWN[0]:
                axis.set_title(title, fontsize=11)
    figure.savefig(arguments.out, dpi=80)
    print(f"wrote {arguments.out}: {', '.join(title for title, _ in columns)}")


if __name__ == "__main__":
    main()
