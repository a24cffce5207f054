"""LeNet-5 trained for some seconds on handwritten digits, and what its layers see, as a picture.

python examples/lenet_digits.py --out docs/images/lenet.png
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from torch import Tensor

import fastcv

TRAIN = 1300  # of 1797 digits; the rest are by other writers
EPOCHS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/lenet.png")
    out = parser.parse_args().out

    data = load_digits()
    images = torch.tensor(data.images / 16, dtype=torch.float32)[:, None].expand(-1, 3, -1, -1)
    labels = torch.tensor(data.target)
    torch.manual_seed(0)
    model = fastcv.create_model("lenet5")
    inputs = model.prepare(list(images))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.003, momentum=0.9)
    for _ in range(EPOCHS):
        for batch in torch.randperm(TRAIN).split(32):
            optimizer.zero_grad()
            model.loss(model(inputs[batch]), labels[batch])["penalty"].backward()
            optimizer.step()

    seen: dict[str, Tensor] = {}
    for name in ("c1", "s2", "c3", "s4"):
        model.get_submodule(name).register_forward_hook(
            lambda _layer, _inputs, output, name=name: seen.update({name: output})
        )
    with torch.no_grad():
        penalties = -model(inputs[TRAIN:])
    right = penalties.argmin(dim=1) == labels[TRAIN:]
    print(f"{right.sum()} of {len(right)} digits of other writers read right")

    shown = [int((labels[TRAIN:] == digit).nonzero()[0]) for digit in (2, 4, 8)]
    figure, axes = plt.subplots(
        len(shown), 6, figsize=(11, 5.4), width_ratios=[1, 1.5, 1.5, 1, 1, 1.9]
    )
    for row, index in zip(axes, shown, strict=True):
        row[0].imshow(inputs[TRAIN + index, 0], cmap="gray")
        for ax, (name, maps) in zip(row[1:], seen.items(), strict=False):
            tile = torch.nn.functional.pad(maps[index], (1, 1, 1, 1), value=float(maps.max()))
            rows = 2 if len(tile) == 6 else 4
            tile = tile.unflatten(0, (rows, -1)).transpose(1, 2).flatten(0, 1).flatten(1)
            ax.imshow(tile, cmap="gray")
            ax.set_title(f"{name.upper()}: {' x '.join(map(str, maps.shape[1:]))}", fontsize=9)
        best = int(penalties[index].argmin())
        colours = ["tab:green" if digit == best else "tab:gray" for digit in range(10)]
        row[5].bar(range(10), penalties[index], color=colours)
        row[5].set_xticks(range(10))
        row[5].set_title("penalty of each digit", fontsize=9)
        for ax in row[:5]:
            ax.set_xticks([])
            ax.set_yticks([])
    axes[0, 0].set_title("32 x 32", fontsize=9)
    figure.tight_layout()
    figure.savefig(out, dpi=90)
    plt.close(figure)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
