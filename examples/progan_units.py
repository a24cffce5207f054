"""Units of a generator raised inside a square: what changes of the picture, and what does not.

    python examples/progan_units.py --out docs/images/progan.png

ProGAN's generator with random weights. A quarter of the seventh layer's units are set to a high
value inside a square of its 32 x 32 map; the picture has 256 x 256 pixels.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from torch import Tensor

from fastcv.models.generative.progan import progan_256

LAYER, CELLS = "layer7", 32
SQUARE = slice(18, 26)  # rows and columns of the map
SEEDS = (1, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/progan.png")
    out = parser.parse_args().out

    torch.manual_seed(0)
    model = progan_256()
    layer = model.get_submodule(LAYER)

    def raise_units(_layer: object, _inputs: object, units: Tensor) -> Tensor:
        units = units.clone()
        chosen = units[:, : units.shape[1] // 4]
        chosen[:, :, SQUARE, SQUARE] = units.flatten(2).quantile(0.99, dim=2).mean()
        return units

    figure, axes = plt.subplots(len(SEEDS), 3, figsize=(8.2, 2.75 * len(SEEDS)))
    for row, seed in zip(axes, SEEDS, strict=True):
        before = model.sample(1, seed=seed)[0]
        hook = layer.register_forward_hook(raise_units)
        after = model.sample(1, seed=seed)[0]
        hook.remove()
        change = (after - before).abs().mean(dim=0)
        pixels = 256 // CELLS
        for ax in row:
            corner, side = SQUARE.start * pixels, (SQUARE.stop - SQUARE.start) * pixels
            square = plt.Rectangle((corner, corner), side, side, fill=False, color="tab:red")
            ax.add_patch(square)
            ax.set_xticks([])
            ax.set_yticks([])
        row[0].imshow(before.permute(1, 2, 0))
        row[1].imshow(after.permute(1, 2, 0))
        row[2].imshow(change, cmap="magma")
        changed = (change > 1e-6).float().mean()
        row[2].set_xlabel(f"{changed:.0%} of the pixels change", fontsize=9)
        row[0].set_ylabel(f"seed {seed}", fontsize=9)
    titles = ("sample, random weights", f"units of {LAYER} raised", "change")
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=10)
    figure.tight_layout()
    figure.savefig(out, dpi=90)
    plt.close(figure)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
