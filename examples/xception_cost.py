"""What depthwise separable convolutions save, block by block, as a picture.

    python examples/xception_cost.py --out docs/images/xception_cost.png

Multiplications are counted on the model itself, and on one whose separable convolutions are whole.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import fastcv
from fastcv.nn.layers.separable_conv import SeparableConv2d

PARTS = ("conv1", "conv2", *(f"block{i}" for i in range(1, 13)), "conv3", "conv4")


def with_whole_convolutions(model: nn.Module) -> nn.Module:
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if isinstance(child, SeparableConv2d):
                inputs, outputs = child.conv1.in_channels, child.pointwise.out_channels
                setattr(parent, name, nn.Conv2d(inputs, outputs, 3, padding=1, bias=False))
    return model


def billions(model: nn.Module) -> list[float]:
    """Billions of multiplications of each part, of one image of 299 pixels."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.empty(1, 3, 299, 299))
    counts = counter.get_flop_counts()
    return [sum(counts[f"Xception.{part}"].values()) / 2e9 for part in PARTS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/xception_cost.png")
    out = parser.parse_args().out
    with torch.device("meta"):
        model = fastcv.create_model("xception").eval()
        separable = billions(model)
        whole = billions(with_whole_convolutions(model))
    figure, axis = plt.subplots(figsize=(9, 3.6), layout="constrained")
    at = range(len(PARTS))
    axis.bar([x - 0.2 for x in at], whole, 0.4, color="#bbb", label=f"whole: {sum(whole):.1f}")
    label = f"separable, as Xception is: {sum(separable):.1f}"
    axis.bar([x + 0.2 for x in at], separable, 0.4, color="#ff4d6d", label=label)
    axis.set_xticks(at, PARTS, rotation=45, ha="right")
    axis.set(ylabel="billions of multiplications")
    axis.legend(frameon=False)
    axis.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, dpi=90)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
