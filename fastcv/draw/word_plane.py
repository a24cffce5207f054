"""Words in a plane, with arrows between those that have a relation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from fastcv._extras import need
from fastcv.draw.canvas import color_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fastcv.language.word_vectors import WordVectors


def draw_word_plane(
    vectors: WordVectors,
    relations: Sequence[Sequence[tuple[str, str]]],
    titles: Sequence[str] | None = None,
) -> Figure:
    """Words in a plane, a panel for each relation, with an arrow from word to word of each pair.

    Where a relation is a direction, the arrows are parallel. A panel's plane has the mean arrow
    across; up is where the words' middles differ most beside that.

    Args:
        vectors: of the words.
        relations: pairs of words each, such as ``[("man", "woman"), ("king", "queen")]``.
        titles: of the panels.

    Returns:
        A matplotlib figure with a panel for each relation.

    Raises:
        ValueError: a word has no vector, or a relation has less than two pairs.
    """
    plt = need("matplotlib.pyplot", extra="viz")
    figure, axes = plt.subplots(
        1, len(relations), figsize=(5 * len(relations), 4.6), layout="constrained", squeeze=False
    )
    for i, (axis, pairs) in enumerate(zip(axes[0], relations, strict=True)):
        if len(pairs) < 2:
            raise ValueError(f"relations must have two pairs or more each, one has {len(pairs)}")
        ids = torch.tensor([[vectors.id_of(word) for word in pair] for pair in pairs])
        ends = vectors.units[ids].double().cpu()  # [pairs, 2, D]
        points = ends @ _plane(ends)
        red, green, blue = color_of(i)
        color = (red / 255, green / 255, blue / 255)
        heights = [_apart(points[:, side, 1].tolist()) for side in (0, 1)]  # of the names
        for j, (pair, ((x1, y1), (x2, y2))) in enumerate(zip(pairs, points.tolist(), strict=True)):
            arrow = {"arrowstyle": "->", "color": color, "lw": 1.6, "shrinkA": 4, "shrinkB": 4}
            axis.annotate("", (x2, y2), (x1, y1), arrowprops=arrow)
            axis.plot([x1, x2], [y1, y2], "o", color="black", markersize=3)
            names = ((pair[0], x1, heights[0][j], True), (pair[1], x2, heights[1][j], False))
            for name, x, y, left in names:
                axis.annotate(
                    name,
                    (x, y),
                    (-6 if left else 6, 0),
                    textcoords="offset points",
                    ha="right" if left else "left",
                    va="center",
                )
        axis.margins(0.35, 0.1)
        axis.set_xticks([])
        axis.set_yticks([])
        if titles is not None:
            axis.set_title(titles[i])
    return figure


def _apart(heights: list[float]) -> list[float]:
    """The same in the same order, but so far apart that names do not cover each other."""
    gap = max((max(heights) - min(heights)) / 22, 1e-3)
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    placed = [heights[i] for i in order]
    for _ in range(100):  # each pass moves two that are too near by half of what lacks
        for a in range(len(placed) - 1):
            lacks = gap - (placed[a + 1] - placed[a])
            if lacks > 0:
                placed[a] -= lacks / 2
                placed[a + 1] += lacks / 2
    found = [0.0] * len(heights)
    for i, height in zip(order, placed, strict=True):
        found[i] = height
    return found


def _plane(ends: torch.Tensor) -> torch.Tensor:
    """``[D, 2]``, orthonormal: the mean arrow, and the first principal axis of the middles."""
    across = torch.nn.functional.normalize((ends[:, 1] - ends[:, 0]).mean(0), dim=0)
    middles = ends.mean(1) - ends.mean((0, 1))
    middles = middles - (middles @ across)[:, None] * across
    up = torch.linalg.svd(middles, full_matrices=False).Vh[0]
    up = torch.nn.functional.normalize(up - (up @ across) * across, dim=0)
    return torch.stack([across, up], 1)
