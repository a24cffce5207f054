"""What the channels of a trained trunk answer most to: patches, and their deconvnet pictures.

    python examples/explain_patches.py --out docs/images/explain_patches.png

The trunk is the digit detector's that ships, a ResNet-18; the scenes are held out.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

from fastcv import explain, recipes
from fastcv.data import DrawnDigits

SCENES = 150
CHANNELS = 4  # of each layer
LAYERS = {"trunk.relu": "conv1", "trunk.layer1": "layer1", "trunk.layer2": "layer2"}


class Trunk(nn.Module):
    """From pictures in [0, 1]."""

    def __init__(self) -> None:
        super().__init__()
        detector = recipes.get("digits_detector").load(device="cpu")
        self.transform, self.trunk = detector.transform, detector.backbone.body

    def forward(self, images: Tensor) -> Tensor:
        return self.trunk((images - self.transform.mean) / self.transform.std)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/explain_patches.png")
    out = parser.parse_args().out
    scenes = DrawnDigits("test", length=SCENES)
    pictures = torch.stack([scenes[i][0] for i in range(SCENES)])
    found = explain.top_patches(Trunk(), pictures, list(LAYERS))
    figure, axes = plt.subplots(
        len(LAYERS), 2 * CHANNELS, figsize=(2 * 2 * CHANNELS, 2.15 * len(LAYERS)), dpi=80
    )
    for row, (layer, name) in zip(axes, LAYERS.items(), strict=True):
        chosen = found[layer].values[:, 0].argsort(descending=True)[:CHANNELS].tolist()
        for back in (False, True):
            blocks = found.gallery(layer, chosen, deconvnet=back).pictures
            for ax, block, channel in zip(row[back::2], blocks, chosen, strict=True):
                ax.imshow(block)
                ax.set_title(f"{name}, {channel}" + (", deconvnet" if back else ""), fontsize=9)
                ax.set_axis_off()
    figure.tight_layout()
    figure.savefig(out)
    plt.close(figure)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
