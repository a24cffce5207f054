"""What the channels of a trained trunk answer most to: patches, and their deconvnet pictures.

    python examples/explain_patches.py --out docs/images/explain_patches.png

The trunk is the digit detector's that ships, a ResNet-18; the scenes are held out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from top_patches_figure import draw_patches
from torch import Tensor, nn

from fastcv import explain, recipes
from fastcv.data import DrawnDigits

SCENES = 150
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
    parser.add_argument("--out", type=Path, default="docs/images/explain_patches.png")
    out = parser.parse_args().out
    scenes = DrawnDigits("test", length=SCENES)
    pictures = torch.stack([scenes[i][0] for i in range(SCENES)])
    found = explain.top_patches(Trunk(), pictures, list(LAYERS))
    draw_patches(found, LAYERS, out, grey=False)


if __name__ == "__main__":
    main()
