"""What the layers of a classifier make of a photograph, as a picture: sizes and channels.

python examples/feature_maps.py alexnet --out docs/images/alexnet.png
python examples/feature_maps.py alexnet --weights IMAGENET1K_V1 --out maps.png
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import skimage.data
import torch
from matplotlib.axes import Axes
from torch import Tensor

import fastcv
from fastcv.images import read_image

# The layers whose outputs are shown, by the names that the paper's figure gives them.
LAYERS = {
    "alexnet": {f"conv{i + 1}": f"features.{at}" for i, at in enumerate((0, 3, 6, 8, 10))},
    "vgg16": {
        "conv1_2": "features.2",
        "conv2_2": "features.7",
        "conv3_3": "features.14",
        "conv4_3": "features.21",
        "conv5_3": "features.28",
    },
    "googlenet": {
        "conv1": "conv1",
        "conv3": "conv3",
        "inception (3b)": "inception3b",
        "inception (4e)": "inception4e",
        "inception (5b)": "inception5b",
    },
}


def channels_as_tile(maps: Tensor, grid: int = 4) -> Tensor:
    """The liveliest channels of ``[C, H, W]`` as one picture, each from its least to its most."""
    chosen = maps[maps.flatten(1).std(dim=1).topk(grid**2).indices.sort().values]
    low, high = (f(chosen.flatten(1), dim=1)[:, None, None] for f in (torch.amin, torch.amax))
    scaled = torch.nn.functional.pad((chosen - low) / (high - low), (1, 1, 1, 1), value=1.0)
    return scaled.unflatten(0, (grid, grid)).transpose(1, 2).flatten(0, 1).flatten(1)


def show(axes: Axes, picture: Tensor, title: str, below: str) -> None:
    axes.imshow(picture, cmap="gray", interpolation="nearest")
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(below, fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", choices=LAYERS)
    parser.add_argument("--weights", help="by name, path or URL; without: random ones, seed 0")
    parser.add_argument("--out", required=True)
    options = parser.parse_args()

    torch.manual_seed(0)
    model = fastcv.create_model(options.model, options.weights).eval()
    if options.weights is None:  # its batch norms have no statistics: they take the image's own
        for module in model.modules():
            module.train(isinstance(module, torch.nn.BatchNorm2d))
    image = model.prepare([read_image(skimage.data.chelsea()) / 255])
    outputs: dict[str, Tensor] = {}
    for name, layer in LAYERS[options.model].items():
        model.get_submodule(layer).register_forward_hook(
            lambda _layer, _inputs, output, name=name: outputs.update({name: output[0].clone()})
        )
    with torch.no_grad():
        model(image)

    figure, axes = plt.subplots(1, 1 + len(outputs), figsize=(2.3 * (1 + len(outputs)), 2.7))
    pixels = image[0].permute(1, 2, 0)
    pixels = (pixels - pixels.min()) / (pixels.max() - pixels.min())
    show(axes[0], pixels, "image", " x ".join(map(str, image.shape[1:])))
    for ax, (name, maps) in zip(axes[1:], outputs.items(), strict=True):
        show(ax, channels_as_tile(maps), name, " x ".join(map(str, maps.shape)))
    figure.tight_layout()
    figure.savefig(options.out, dpi=90)
    plt.close(figure)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
