"""What a logit of PatchGAN sees: patches of 70 x 70 pixels, and the map of 30 x 30 logits.

    python examples/patches_of_a_discriminator.py --out docs/images/patch_gan.png

With random weights. Which pixels a logit depends on is read off its gradient.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from skimage import data
from torch import Tensor

from fastcv.images import read_image
from fastcv.models.generative._patch_discriminator import PatchDiscriminator

SIDE = 256
LOGITS = ((6, 6), (7, 7), (15, 22), (29, 0))  # rows and columns; the last one at a corner
COLOURS = ("tab:red", "tab:orange", "tab:cyan", "yellow")


def seen(model: PatchDiscriminator, row: int, column: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the pixels that a logit depends on."""
    picture = torch.rand(1, 3, SIDE, SIDE, dtype=torch.double, requires_grad=True)
    (gradient,) = torch.autograd.grad(model(picture)[0, 0, row, column], picture)
    rows, columns = gradient[0].abs().sum(0).nonzero().T
    top, bottom = rows.min().item(), rows.max().item() + 1
    return int(columns.min()), int(top), int(columns.max()) + 1, int(bottom)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/patch_gan.png")
    out = parser.parse_args().out

    torch.manual_seed(0)
    picture: Tensor = read_image(data.astronaut())[:, ::2, ::2] / 255
    model = PatchDiscriminator(3, width=8).double().eval()
    logits = model(picture[None].double() * 2 - 1)[0, 0].detach()

    figure, (left, right) = plt.subplots(1, 2, figsize=(8.2, 4.5), layout="constrained")
    left.imshow(picture.permute(1, 2, 0))
    right.imshow(logits, cmap="gray")
    for (row, column), colour in zip(LOGITS, COLOURS, strict=True):
        x, y, x_end, y_end = seen(model, row, column)
        place = dict(fill=False, color=colour, linewidth=1.8)
        left.add_patch(plt.Rectangle((x - 0.5, y - 0.5), x_end - x, y_end - y, **place))
        right.add_patch(plt.Rectangle((column - 0.5, row - 0.5), 1, 1, **place))
        size = f"{x_end - x} x {y_end - y}"
        left.text(x_end - 3, y_end - 3, size, color=colour, fontsize=8, weight="bold", ha="right")
    left.set_xlabel("a picture of 256 x 256 pixels, and what four logits see", fontsize=9)
    right.set_xlabel("the map of 30 x 30 logits, random weights", fontsize=9)
    for ax in (left, right):
        ax.set_xticks([])
        ax.set_yticks([])
    figure.savefig(out, dpi=90)


if __name__ == "__main__":
    main()
