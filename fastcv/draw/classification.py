"""Pictures of a classifier's metrics: its confusion matrix and its calibration."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastcv._extras import need
from fastcv._files import replacing
from fastcv.draw.figure_names import figure_names

MAX_CLASSES_WITH_NUMBERS = 20  # beyond, the cells have no room for them


def draw_confusion(
    confusion: Sequence[Sequence[int]], classes: Sequence[str], path: str | os.PathLike[str]
) -> None:
    """Draw a confusion matrix: each row the shares of a true class by predicted class.

    Args:
        confusion: counts, true classes in rows: ``evaluate_classifier(...)["confusion"]``.
        classes: names by label.
        path: of the picture.

    Raises:
        ValueError: the matrix is not square, or has another size than ``classes``.
        ImportError: matplotlib is missing.
    """
    counts = np.asarray(confusion, dtype=float)
    n = len(classes)
    if counts.shape != (n, n):
        raise ValueError(f"confusion must be [{n}, {n}], as classes, got {list(counts.shape)}")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    Figure = need("matplotlib.figure", extra="viz").Figure
    side = min(3.2 + 0.45 * n, 16)
    figure = Figure(figsize=(side + 0.6, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="predicted", ylabel="true", title="share of each true class")
    small = 9 if n <= MAX_CLASSES_WITH_NUMBERS else 5
    ticks, (names, family) = range(n), figure_names(classes)
    rotation = 90 if max(map(len, classes)) > 3 else 0
    axes.set_xticks(ticks, names, rotation=rotation, size=small, family=family)
    axes.set_yticks(ticks, names, size=small, family=family)
    if n <= MAX_CLASSES_WITH_NUMBERS:
        for (row, column), share in np.ndenumerate(shares):
            if share >= 0.005:
                colour = "white" if share > 0.5 else "black"
                text = f"{share:.2f}".removeprefix("0") if share < 0.995 else "1"
                axes.text(column, row, text, ha="center", va="center", color=colour, size=8)
    figure.colorbar(image, shrink=0.8)
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)


def draw_reliability(metrics: dict[str, Any], path: str | os.PathLike[str]) -> None:
    """Draw accuracy against confidence, and how many images have which confidence.

    Args:
        metrics: what ``evaluate_classifier`` returned.
        path: of the picture.

    Raises:
        ImportError: matplotlib is missing.
    """
    reliability = metrics["reliability"]
    count, accuracy, confidence = (
        np.asarray(reliability[name], dtype=float) for name in ("count", "accuracy", "confidence")
    )
    edges = np.linspace(0, 1, len(count) + 1)
    width, there = edges[1], count > 0
    Figure = need("matplotlib.figure", extra="viz").Figure
    figure = Figure(figsize=(4.6, 5.4), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    left = edges[:-1][there]
    upper.bar(left, accuracy[there], width, align="edge", color="tab:blue", edgecolor="white")
    means = confidence[there]
    upper.hlines(means, left, left + width, color="tab:red", linewidth=2.5, label="mean confidence")
    upper.plot([0, 1], [0, 1], "--", color="grey", linewidth=1)
    upper.set(ylabel="accuracy", ylim=(0, 1), xlim=(0, 1))
    upper.set_title(f"expected calibration error {metrics['ece']:.3f}")
    upper.legend(loc="upper left", fontsize="small")
    lower.bar(edges[:-1], count / count.sum(), width, align="edge", color="grey", edgecolor="white")
    lower.set(xlabel="confidence", ylabel="share of images")
    with replacing(path) as temporary:
        figure.savefig(temporary, dpi=120)
