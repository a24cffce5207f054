"""A dense CRF at work on coarse scores, iteration by iteration, as a picture.

    python examples/dense_crf.py --out docs/images/dense_crf.png

The truth is drawn by hand about the cup of scikit-image's photograph; the scores are that truth as
a segmenter sees it that has one score for 48 x 48 pixels, with noise.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import skimage.data
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from fastcv.metrics import SegmentationMetrics
from fastcv.ops import dense_crf

STRIDE = 48
STEPS = (0, 1, 3, 10)
# What DeepLab v2's public implementations take on PASCAL VOC; nothing is tuned to this picture.
DEEPLAB = {
    "gaussian_sxy": 1.0,
    "gaussian_weight": 3.0,
    "bilateral_sxy": 67.0,
    "bilateral_srgb": 3.0,
    "bilateral_weight": 4.0,
}
# The saucer and the cup's mouth as boxes about ellipses, the spoon's handle as a polygon; (x, y).
ELLIPSES = [(76, 44, 480, 390), (172, 17, 408, 207)]
HANDLE = [(396, 72), (404, 67), (416, 67), (423, 72), (423, 84), (414, 112), (404, 130)]


def truth_of(size: tuple[int, int]) -> Tensor:
    """``[H, W]``: 1 on the cup with its saucer."""
    drawn = Image.new("L", size)
    pen = ImageDraw.Draw(drawn)
    for box in ELLIPSES:
        pen.ellipse(box, fill=1)
    pen.polygon(HANDLE, fill=1)
    return torch.from_numpy(np.array(drawn)).long()


def coarse_scores(truth: Tensor) -> Tensor:
    """``[1, 2, H, W]``: the share of each class in cells of 48 pixels, with noise, enlarged."""
    cells = F.adaptive_avg_pool2d(truth[None, None].float(), [s // STRIDE for s in truth.shape])
    noise = torch.randn(cells.shape, generator=torch.Generator().manual_seed(0))
    cup = F.interpolate(cells + 0.1 * noise, truth.shape, mode="bilinear").clamp(0.05, 0.95)
    return torch.cat([1 - cup, cup], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/dense_crf.png")
    out = parser.parse_args().out
    photograph = skimage.data.coffee()
    truth = truth_of(photograph.shape[1::-1])
    unary = -coarse_scores(truth).log()
    image = torch.from_numpy(photograph.copy()).permute(2, 0, 1)[None]
    figure, axes = plt.subplots(2, 3, figsize=(11, 5.6), layout="constrained")
    axes = axes.flatten()
    axes[0].imshow(photograph)
    axes[0].contour(truth, [0.5], colors="yellow", linewidths=1)
    axes[0].set_title("photograph, and the truth drawn by hand", fontsize=10)
    axes[1].imshow(unary[0, 1].neg().exp(), cmap="magma", vmin=0, vmax=1)
    axes[1].set_title("scores of the cup, one for 48 x 48 pixels", fontsize=10)
    for axis, steps in zip(axes[2:], STEPS, strict=True):
        q = dense_crf(unary, image, iterations=steps, **DEEPLAB)
        metrics = SegmentationMetrics(2)
        metrics.add(q.argmax(1), truth[None])
        found = metrics.compute()
        axis.imshow(photograph)
        axis.imshow(q[0, 1] > 0.5, cmap="cool", alpha=0.45, interpolation="nearest")
        axis.contour(truth, [0.5], colors="yellow", linewidths=1)
        axis.set_title(
            f"{steps} iterations: mIoU {found['miou']:.3f}, boundary F {found['boundary_f']:.3f}",
            fontsize=10,
        )
    for axis in axes:
        axis.set_axis_off()
    figure.savefig(out, dpi=90)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
