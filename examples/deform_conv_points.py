"""Where a deformable convolution looks, on a photograph, as a picture.

    python examples/deform_conv_points.py --out demo/deform_conv_points.png

A photograph is swirled. A deformable convolution with a mean of 3 x 3 taps reads the swirled image
and should give the original (blurred likewise): its offsets start at zero and are found by gradient
descent, through the gradient that the op gives to its offsets and nothing else.
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
from skimage.transform import resize, swirl
from torch import Tensor

import fastcv.ops as ops

SIZE = 160
TAPS, OUTPUT = "#ff3b5c", "#00d0a0"


def photograph() -> tuple[Tensor, Tensor]:
    """The original and the swirled image, ``[1, 3, SIZE, SIZE]``."""
    image = resize(skimage.data.astronaut()[:340, 60:400], (SIZE, SIZE), anti_aliasing=True)
    swirled = swirl(image, strength=1.0, radius=110, mode="edge")
    both = torch.from_numpy(np.stack([image, swirled])).float().permute(0, 3, 1, 2)
    return both[:1], both[1:]


def find_offsets(source: Tensor, target: Tensor, steps: int) -> tuple[Tensor, list[float]]:
    """Offsets ``[1, 18, SIZE, SIZE]`` with which a mean of 3 x 3 taps of `source` is `target`'s."""
    weight = torch.eye(3)[:, :, None, None].expand(3, 3, 3, 3) / 9
    # Shared by the nine taps, and smooth: a coarse grid between whose points they are interpolated.
    coarse = torch.zeros(1, 2, 12, 12, requires_grad=True)
    optimizer = torch.optim.Adam([coarse], lr=0.3)

    def offsets() -> Tensor:
        fine = torch.nn.functional.interpolate(
            coarse, size=(SIZE, SIZE), mode="bicubic", align_corners=True
        )
        return fine.repeat(1, 9, 1, 1)

    edges = torch.nn.functional.conv2d(target, weight, padding=1)
    losses = []
    for step in range(steps):
        # From coarse to fine: what both images blurred say first.
        blur = 2 * max(0, round(8 * (1 - 2 * step / steps))) + 1
        blurred = [torch.nn.functional.avg_pool2d(t, blur, 1, blur // 2) for t in (source, edges)]
        loss = (
            (ops.deform_conv2d(blurred[0], offsets(), weight, padding=1) - blurred[1]).abs().mean()
        )
        losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return offsets().detach(), losses


def show(ax: plt.Axes, image: Tensor, title: str) -> None:
    ax.imshow(image[0].permute(1, 2, 0).clamp(0, 1).numpy())
    ax.set_axis_off()
    ax.set_title(title, fontsize=11)


def draw_taps(ax: plt.Axes, offset: Tensor, every: int) -> None:
    """The nine samples of some output pixels, and a line from each pixel to their middle."""
    for y in range(every // 2, SIZE, every):
        for x in range(every // 2, SIZE, every):
            dydx = offset[0, :, y, x].reshape(9, 2)
            grid = torch.cartesian_prod(torch.arange(-1, 2), torch.arange(-1, 2))
            points = torch.tensor([y, x]) + grid + dydx
            middle = points.mean(0)
            ax.plot([x, middle[1]], [y, middle[0]], color=OUTPUT, lw=1)
            ax.plot(points[:, 1], points[:, 0], ".", color=TAPS, ms=2.2)
            ax.plot(x, y, "o", color=OUTPUT, ms=2.5)


def draw(steps: int) -> tuple[plt.Figure, list[float]]:
    original, swirled = photograph()
    offset, losses = find_offsets(swirled, original, steps)
    weight = torch.eye(3)[:, :, None, None].expand(3, 3, 3, 3) / 9
    figure, axes = plt.subplots(1, 4, figsize=(15, 4.4), layout="constrained")
    show(axes[0], swirled, "input, and the taps without offsets")
    draw_taps(axes[0], torch.zeros_like(offset), 16)
    show(axes[1], swirled, f"input, and the taps after {steps} steps")
    draw_taps(axes[1], offset, 16)
    show(axes[2], ops.deform_conv2d(swirled, offset, weight, padding=1), "output")
    show(axes[3], torch.nn.functional.conv2d(original, weight, padding=1), "what it should be")
    return figure, losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("demo/deform_conv_points.png"))
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()

    figure, losses = draw(arguments.steps)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    temporary = arguments.out.with_name(arguments.out.name + ".tmp")
    figure.savefig(temporary, format="png", dpi=90)
    temporary.replace(arguments.out)
    print(f"mean error {losses[0]:.4f} -> {losses[-1]:.4f}: {arguments.out}")


if __name__ == "__main__":
    main()
