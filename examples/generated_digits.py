"""Digits that small GANs made, and how the two players of one came to terms.

    python examples/generated_digits.py --out docs/images            from what lies beside this file
    python examples/generated_digits.py --train --out docs/images    trains the recipes before

The recipes are digits_gan, whose curves are drawn, and digits_cgan.
"""

from __future__ import annotations

import argparse
import csv
import math
import shutil
import tempfile
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

import fastcv
from fastcv import recipes
from fastcv._files import replacing

FOLDER = Path(__file__).with_suffix("")
CURVES = FOLDER / "curves.csv"
TITLES = {"digits_gan": "GAN: any digits", "digits_cgan": "conditional GAN: each row was asked for"}


def train() -> None:
    """Runs the recipes; keeps the generators, and of one history a row for each epoch."""
    FOLDER.mkdir(exist_ok=True)
    for name in TITLES:
        with tempfile.TemporaryDirectory() as folder:
            print(recipes.get(name).train(folder, device="cpu"))
            with replacing(FOLDER / f"{name}.safetensors") as temporary:
                shutil.copyfile(Path(folder) / f"{name}.safetensors", temporary)
            if name == "digits_gan":
                keep(by_epoch(Path(folder) / "gan"))


def by_epoch(run: Path) -> list[dict[str, float]]:
    """The discriminator's terms, which are -log D(x) and -log(1 - D(G(z))), as means over an
    epoch; and what was measured after it."""
    steps, epochs = read(run / "history.csv"), read(run / "epochs.csv")
    rows = []
    for epoch in epochs:
        of_epoch = [step for step in steps if step["epoch"] == epoch["epoch"]]
        real, fake = (
            np.array([step[f"discriminator/{name}"] for step in of_epoch])
            for name in ("real", "fake")
        )
        rows.append(
            {
                "epoch": epoch["epoch"],
                "D(x)": np.exp(-real).mean(),
                "D(G(z))": (1 - np.exp(-fake)).mean(),
                "value": -(real + fake).mean(),
                "FD-digits": epoch["FD-digits"],
            }
        )
    return rows


def keep(rows: list[dict[str, float]]) -> None:
    with replacing(CURVES) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows([{key: f"{value:.4g}" for key, value in row.items()} for row in rows])


def read(path: Path) -> list[dict[str, float]]:
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return [{key: float(value) for key, value in row.items()} for row in rows]


def draw_sheets(models: dict[str, Any], out: Path) -> None:
    """A hundred samples of each generator; of the one that is asked a row for each digit."""
    figure, axes = plt.subplots(
        1, len(models), figsize=(4.6 * len(models), 4.8), layout="constrained", squeeze=False
    )
    for ax, (name, model) in zip(axes[0], models.items(), strict=True):
        asked = torch.arange(10).repeat_interleave(10) if model.classes else None
        ax.imshow(model.sample(100, labels=asked, seed=1).draw())
        ax.set_title(TITLES[name], fontsize=11)
        ax.set_axis_off()
    figure.savefig(out, dpi=90)
    plt.close(figure)


def draw_players(rows: list[dict[str, float]], out: Path) -> None:
    """What the discriminator says, the value of the game, and how far samples are from data."""
    epoch = [row["epoch"] for row in rows]
    figure, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
    for name in ("D(x)", "D(G(z))"):
        axes[0].plot(epoch, [row[name] for row in rows], label=name)
    axes[0].axhline(0.5, color="grey", linestyle="--", label="where nothing tells them apart")
    axes[0].set(title="the detective's verdict", ylim=(0, 1))
    axes[1].plot(epoch, [row["value"] for row in rows], color="tab:green", label="value")
    axes[1].axhline(-math.log(4), color="grey", linestyle="--", label="-log 4")
    axes[1].set(title="value of the game")
    axes[2].plot(epoch, [row["FD-digits"] for row in rows], color="tab:red", label="FD-digits")
    axes[2].set(title="distance of samples from data", yscale="log")
    for ax in axes:
        ax.set_xlabel("epoch")
        ax.legend(fontsize=8)
        ax.grid(alpha=0.3)
    figure.savefig(out, dpi=90)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", action="store_true", help="train anew before")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="a folder")
    options = parser.parse_args()
    if options.train:
        train()
    models = {name: fastcv.load_model(FOLDER / f"{name}.safetensors").float() for name in TITLES}
    draw_sheets(models, options.out / "generated_digits.png")
    draw_players(read(CURVES), options.out / "two_players.png")
    print(f"wrote generated_digits.png and two_players.png to {options.out}")


if __name__ == "__main__":
    main()
