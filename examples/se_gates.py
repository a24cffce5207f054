"""Which channels a squeeze and excitation lets through, by class, as a picture.

    python examples/se_gates.py --out docs/images/se_gates.png

A small network with two gated blocks learns scikit-learn's handwritten digits (8 x 8 pixels) and is
asked for its gates on digits that it has not seen.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from fastcv.nn.layers.squeeze_excitation import SqueezeExcitation

CHANNELS = 32
HELD_OUT = 500


def block(inputs: int) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, CHANNELS, 3, padding=1, bias=False)
    return [conv, nn.BatchNorm2d(CHANNELS), nn.ReLU()]


def gate() -> list[nn.Module]:
    return [SqueezeExcitation(CHANNELS, 8)]


def learn(images: Tensor, labels: Tensor, epochs: int = 15) -> nn.Sequential:
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, 10)]
    # The norm behind each gate takes a common factor out: only what channels differ by counts.
    gated = [*block(1), *gate(), nn.MaxPool2d(2), *block(CHANNELS), *gate(), *block(CHANNELS)]
    model = nn.Sequential(*gated, *head)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/se_gates.png")
    out = parser.parse_args().out
    torch.manual_seed(0)
    digits = load_digits()
    images, labels = torch.tensor(digits.images)[:, None].float() / 16, torch.tensor(digits.target)
    model = learn(images[HELD_OUT:], labels[HELD_OUT:])
    images, labels = images[:HELD_OUT], labels[:HELD_OUT]

    gates: list[Tensor] = []
    for module in model:
        if isinstance(module, SqueezeExcitation):
            module.register_forward_hook(lambda m, inputs, o: gates.append(m.gates(*inputs)))
    with torch.no_grad():
        right = (model(images).argmax(1) == labels).float().mean().item()
    figure, axes = plt.subplots(2, 1, figsize=(9, 5.6), layout="constrained")
    for axis, values, place in zip(axes, gates, ("first", "second"), strict=True):
        by_class = torch.stack([values[labels == i].mean(0).flatten() for i in range(10)])
        order = by_class.mean(0).argsort()
        drawn = axis.imshow(by_class[:, order], vmin=0.3, vmax=0.7, cmap="magma", aspect="auto")
        spread = by_class.std(0).mean().item()
        axis.set_title(f"{place} block: gates differ by {spread:.3f} between classes", fontsize=10)
        axis.set(ylabel="digit", yticks=range(10), xticks=[])
    axes[1].set_xlabel(f"{CHANNELS} channels, sorted; {right:.1%} of {HELD_OUT} digits are right")
    figure.colorbar(drawn, ax=axes, label="mean gate")
    figure.savefig(out, dpi=90)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
