"""What happened in training: a row for each step and each epoch, as CSV and as a picture."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastcv._extras import need
from fastcv._files import replacing

Row = dict[str, float]


@dataclass(repr=False)
class History:
    """Losses by step, metrics by epoch.

    Attributes:
        steps: for each optimiser step its ``epoch`` and ``step`` (both from 1), ``lr``, each
            term of the loss, and their sum ``loss``. With several players the names are
            ``player/lr``, ``player/loss``, ``player/term``.
        epochs: for each evaluated epoch its ``epoch``, its last ``step``, and the metrics.
        samples: the sheet of samples of each epoch, as a path in the run's folder.

    Example:
        >>> from fastcv.learn import History
        >>> History(steps=[{"epoch": 1, "step": 1, "lr": 0.1, "loss": 2.5}])
        History(1 step, 0 epochs evaluated; loss 2.5)
    """

    steps: list[Row] = field(default_factory=list)
    epochs: list[Row] = field(default_factory=list)
    samples: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        n, last = len(self.steps), (self.steps or [{}])[-1]
        losses = [f"{k} {v:.4g}" for k, v in last.items() if k.rpartition("/")[2] == "loss"]
        return (
            f"History({n} step{'s' * (n != 1)}, {len(self.epochs)} epochs evaluated"
            f"{'; ' if losses else ''}{', '.join(losses)})"
        )

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write ``history.csv`` (steps) and, if any was evaluated, ``epochs.csv`` to a folder."""
        for name, rows in (("history.csv", self.steps), ("epochs.csv", self.epochs)):
            if not rows:
                continue
            with (
                replacing(Path(folder, name)) as temporary,
                open(temporary, "w", newline="") as file,
            ):
                writer = csv.DictWriter(file, _columns(rows))
                writer.writeheader()
                writer.writerows(rows)

    def state(self) -> dict[str, Any]:
        """For a checkpoint: the steps, which may be many, as one tensor with NaN for no value."""
        columns = _columns(self.steps)
        table = [[row.get(name, math.nan) for name in columns] for row in self.steps]
        values = torch.tensor(table, dtype=torch.float64)
        return {
            "columns": columns,
            "steps": values,
            "epochs": self.epochs,
            "samples": self.samples,
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> History:
        """The history that ``state`` was taken of."""
        types = [int if name in ("epoch", "step") else float for name in state["columns"]]
        steps = [
            {
                name: make(value)
                for name, make, value in zip(state["columns"], types, row, strict=True)
                if not math.isnan(value)
            }
            for row in state["steps"].tolist()
        ]
        return cls(steps, state["epochs"], state.get("samples", []))

    def draw(self, path: str | os.PathLike[str]) -> None:
        """Draw losses, learning rates and metrics over the steps.

        Args:
            path: of the picture, such as ``curves.png``.

        Raises:
            ImportError: matplotlib is missing.
        """
        # The class, not pyplot: it needs no display and leaves no global state behind.
        Figure = need("matplotlib.figure", extra="viz").Figure
        names = [name for name in _columns(self.steps) if name not in ("epoch", "step")]
        rates = [name for name in names if name.rpartition("/")[2] == "lr"]
        losses = [name for name in names if name not in rates]
        if "loss" in losses and len(losses) == 2:
            losses.remove("loss")  # the sum of one term is that term
        metrics = [name for name in _columns(self.epochs) if name not in ("epoch", "step")]
        panels = [("loss", self.steps, losses), ("learning rate", self.steps, rates)]
        if metrics:
            panels.append(("metrics", self.epochs, metrics))
        figure = Figure(figsize=(5 * len(panels), 3.6), layout="constrained")
        for axes, (title, rows, columns) in zip(
            figure.subplots(1, len(panels)), panels, strict=True
        ):
            for name in columns:
                _draw_curve(axes, rows, name, smooth=title == "loss")
            axes.set(title=title, xlabel="step")
            axes.grid(alpha=0.3)
            if columns:
                axes.legend(fontsize="small")
        with replacing(path) as temporary:
            figure.savefig(temporary, dpi=120)


def _draw_curve(axes: Any, rows: Sequence[Row], name: str, *, smooth: bool) -> None:
    step, value = np.array([(row["step"], row[name]) for row in rows if name in row]).T
    window = len(value) // 40
    if not smooth or window < 2:
        axes.plot(step, value, marker="." if len(value) < 40 else "", label=name)
        return
    colour = axes.plot(step, value, alpha=0.25, linewidth=0.8)[0].get_color()
    means = np.convolve(value, np.full(window, 1 / window), mode="valid")
    axes.plot(step[window - 1 :], means, color=colour, label=name)


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))
