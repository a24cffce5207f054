"""The bias of a dataset, as a picture with a panel for each class."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence

from torch import Tensor

from fastcv._extras import need
from fastcv._files import replacing
from fastcv.draw.figure_names import figure_names


def draw_bias(
    pictures: Tensor, counts: Tensor, classes: Sequence[str], path: str | os.PathLike[str]
) -> None:
    """Draw what ``mean_images`` or ``box_heatmap`` found, a panel for each class that is there.

    Args:
        pictures: ``[C, 3, H, W]`` in [0, 1], or heat ``[C, H, W]``.
        counts: ``[C]``.
        classes: names by label.
        path: of the picture.

    Raises:
        ValueError: no class has anything.
        ImportError: matplotlib is missing.
    """
    there = counts.nonzero()[:, 0].tolist()
    if not there:
        raise ValueError("no class has an image or a box to draw")
    Figure = need("matplotlib.figure", extra="viz").Figure
    across = min(len(there), 5)
    down = math.ceil(len(there) / across)
    figure = Figure(figsize=(1.7 * across + 0.6, 1.9 * down), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    shown = None
    greatest = float(pictures[there].max())
    names, family = figure_names(classes)
    for axes, label in zip(panels.flat, there, strict=False):
        axes.set_title(f"{names[label]} ({int(counts[label])})", size=9, family=family)
        if pictures.ndim == 4:
            axes.imshow(pictures[label].permute(1, 2, 0).clamp(0, 1).numpy())
        else:
            shown = axes.imshow(pictures[label].numpy(), cmap="magma", vmin=0, vmax=greatest)
    if shown is not None:
        bar = figure.colorbar(shown, ax=list(panels.flat), shrink=0.8)
        bar.ax.set_title("share of\nthe boxes", size=8)
        bar.ax.tick_params(labelsize=8)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)
