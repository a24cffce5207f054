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

from fastcv import create_model
from fastcv.explain import edit_units, unit_quantiles

LAYER, CELLS = "layer7", 32
SQUARE = slice(18, 26)  # rows and columns of the map
SEEDS = (1, 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/progan.png")
    out = parser.parse_args().out

    torch.manual_seed(0)
    model = create_model("progan_256")
    raised = range(model.channels[4] // 4)
    level = unit_quantiles(model, LAYER, model.latents(8))[: len(raised)]
    mask = torch.zeros(CELLS, CELLS, dtype=torch.bool)
    mask[SQUARE, SQUARE] = True

    figure, axes = plt.subplots(len(SEEDS), 3, figsize=(8.2, 2.75 * len(SEEDS)))
    for row, seed in zip(axes, SEEDS, strict=True):
        before = model.sample(1, seed=seed).pictures[0]
        with edit_units(model, LAYER, raised, "insert", mask=mask, level=level):
            after = model.sample(1, seed=seed).pictures[0]
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
