"""What a small CenterNet's heatmap looks like, and the boxes that are read at its peaks.

    python examples/centernet_peaks.py --out docs/images/centernet_peaks.png

The network is trained for some seconds on the four scenes that are shown, no others: the picture
is of what it says, not of how well it finds what it has never seen.
"""

from __future__ import annotations

import argparse
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torch import Tensor

import fastcv
from fastcv.data import DrawnDigits
from fastcv.nn.points.heatmaps import find_peaks

SCENES = 4
STEPS = 120
MIN_SCORE = 0.3


def train(images: list[Tensor], targets: list[dict[str, Any]]) -> Any:
    """A CenterNet that knows these scenes."""
    torch.manual_seed(0)
    model = fastcv.create_model("centernet_resdcn18", num_classes=11, width=16, size=96)
    model.classes = DrawnDigits.classes
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(STEPS):
        optimizer.zero_grad()
        sum(model.loss(model(images), targets).values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/centernet_peaks.png")
    out = parser.parse_args().out
    scenes = DrawnDigits("train", size=(96, 96), max_digits=3, digit_size=(24, 48))
    images, targets = (list(x) for x in zip(*(scenes[i] for i in range(SCENES)), strict=True))
    model = train(images, targets)
    with torch.inference_mode():
        output = model(images)
        heatmaps = output.stacks[-1].heatmap.sigmoid()
        found = model.postprocess(output, score_threshold=MIN_SCORE)
    peaks = find_peaks(heatmaps, k=10)

    figure, axes = plt.subplots(3, SCENES, figsize=(2.6 * SCENES, 8.2), layout="constrained")
    for i, (scene, heat, drawn) in enumerate(axes.T):
        scene.imshow(images[i].permute(1, 2, 0))
        heat.imshow(heatmaps[i].amax(0), vmin=0, vmax=1, cmap="magma")
        sure = peaks.scores[i] > MIN_SCORE
        x, y = peaks.points[i, sure].T
        heat.plot(x, y, "o", mfc="none", mec="#00d0a0", mew=1.5, ms=13)
        drawn.imshow(found[i].draw(images[i]))
        for axis in (scene, heat, drawn):
            axis.set_axis_off()
    for axis, title in zip(
        axes[:, 0], ("scene", "largest of the ten heatmaps", "boxes at the peaks"), strict=True
    ):
        axis.set_title(title, fontsize=10, loc="left")
    figure.savefig(out, dpi=90)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
