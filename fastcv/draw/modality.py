"""How much of a model's accuracy comes from each modality, as bars."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from fastcv._extras import need
from fastcv._files import replacing
from fastcv.draw.figure_names import figure_names

COLOURS = {"image": "tab:blue", "question": "tab:orange"}


def draw_modality_shares(
    found: Mapping[str, Mapping[str, Any]], path: str | os.PathLike[str]
) -> None:
    """Draw what ``modality_share`` found, a group of bars for each model or data set.

    Args:
        found: by name what ``modality_share`` returned.
        path: of the picture.

    Raises:
        ValueError: there is nothing to draw.
        ImportError: matplotlib is missing.
    """
    if not found:
        raise ValueError("found must have one result or more, it has none")
    Figure = need("matplotlib.figure", extra="viz").Figure
    figure = Figure(figsize=(2.2 + 1.5 * len(found), 3.4), layout="constrained")
    axes = figure.subplots()
    names, family = figure_names(list(found))
    for k, (modality, colour) in enumerate(COLOURS.items()):
        places = [i + 0.36 * (k - 0.5) for i in range(len(found))]
        shares = [float(result["share"][modality]) for result in found.values()]
        bars = axes.bar(places, shares, 0.34, color=colour, label=modality)
        axes.bar_label(bars, [f"{share:.2f}" for share in shares], size=9)
    labels = [
        f"{name}\naccuracy {result['accuracy']:.2f}"
        for name, result in zip(names, found.values(), strict=True)
    ]
    axes.set_xticks(range(len(found)), labels, family=family, size=9)
    axes.set(ylim=(min(0.0, axes.get_ylim()[0]), 1.12), ylabel="share lost when it is permuted")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", fontsize="small", ncols=2, frameon=False)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)
