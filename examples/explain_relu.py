"""What a ReLU lets back: backpropagation, deconvnet and guided backpropagation, as a picture.

    python examples/explain_relu.py --out docs/images/explain_relu.png

Above on nine numbers, below on a photograph of a cup, for the class espresso. MobileNetV2 has no
max pools, so nothing tells a deconvnet what the image was: its picture is the same for any.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from imagenet_photographs import mobilenet, photograph
from torch import Tensor, nn

from fastcv import explain

FORWARD = torch.tensor([[1.0, -1, 5], [2, -5, -7], [-3, 2, 4]])
BACKWARD = torch.tensor([[-2.0, 3, -1], [6, -3, 1], [2, -1, 3]])


class Relu(nn.Module):
    """A ReLU, and behind it numbers to multiply with: the gradient that comes back to it."""

    def forward(self, images: Tensor) -> Tensor:
        return (images.relu() * BACKWARD).sum(dim=(2, 3))


def three_ways(model: nn.Module, image: Tensor, target: int | str) -> dict[str, Tensor]:
    """The gradient by the image ``[C, H, W]``, by each rule."""
    found = {
        "backpropagation\n[h > 0] g": explain.saliency(model, image, target, mode="signed"),
        "deconvnet\n[g > 0] g": explain.deconvnet(model, image, target),
        "guided backpropagation\n[h > 0] [g > 0] g": explain.guided_backprop(model, image, target),
    }
    return {name: one.values[0] for name, one in found.items()}


def draw_numbers(axes: plt.Axes, values: Tensor, title: str) -> None:
    axes.imshow(values, cmap="RdBu_r", vmin=-8, vmax=8)
    for (row, column), value in zip(
        torch.cartesian_prod(*[torch.arange(3)] * 2), values.flatten(), strict=True
    ):
        axes.text(column, row, f"{value + 0.0:.0f}", ha="center", va="center", fontsize=13)
    axes.set_title(title, fontsize=9)


def draw_pixels(axes: plt.Axes, values: Tensor) -> None:
    values = values / values.abs().flatten().quantile(0.995)
    axes.imshow((values.clamp(-1, 1) / 2 + 0.5).permute(1, 2, 0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/explain_relu.png")
    out = parser.parse_args().out
    figure, axes = plt.subplots(2, 5, figsize=(11, 5), layout="constrained")
    draw_numbers(axes[0, 0], FORWARD, "h, what went into the ReLU")
    draw_numbers(axes[0, 1], BACKWARD, "g, what comes back")
    for axis, (name, values) in zip(
        axes[0, 2:], three_ways(Relu(), FORWARD[None, None], 0).items(), strict=True
    ):
        draw_numbers(axis, values[0], name)

    model, photo = mobilenet(), photograph("coffee")
    found = explain.grad_cam(model, photo, "espresso")
    axes[1, 0].imshow(found.pictures[0].permute(1, 2, 0))
    axes[1, 1].imshow(found[0].draw(names=False))
    axes[1, 1].set_xlabel("Grad-CAM")
    prepared = model.prepare([model.as_float(photo)])
    for axis, values in zip(
        axes[1, 2:], three_ways(model, prepared, "espresso").values(), strict=True
    ):
        draw_pixels(axis, values)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.savefig(out, dpi=90)
    plt.close(figure)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
