"""The figure of patches and deconvnet pictures that two examples draw."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from fastcv.explain import TopPatches

CHANNELS = 4  # of each layer


def draw_patches(found: TopPatches, layers: Mapping[str, str], out: Path, *, grey: bool) -> None:
    """A row for each layer: its liveliest channels' patches, each beside its deconvnet picture.

    Args:
        found: what to draw.
        layers: their names in the figure, by their names in the model.
        out: the file.
        grey: draw deconvnet pictures without colours, of a network that saw none.
    """
    size = 2 * CHANNELS, len(layers) * 1.12
    figure, axes = plt.subplots(len(layers), 2 * CHANNELS, figsize=(1.7 * size[0], 1.7 * size[1]))
    for row, (layer, name) in zip(axes, layers.items(), strict=True):
        channels = found[layer].values[:, 0].argsort(descending=True)[:CHANNELS].tolist()
        for back in (False, True):
            blocks = found.gallery(layer, channels, deconvnet=back).pictures
            for ax, block, channel in zip(row[back::2], blocks, channels, strict=True):
                ax.imshow(block.convert("L") if grey and back else block, cmap="gray")
                ax.set_title("deconvnet" if back else f"{name}, channel {channel}", fontsize=9)
                ax.set_axis_off()
    figure.tight_layout()
    figure.savefig(out, dpi=80)
    plt.close(figure)
    print(f"wrote {out}")
