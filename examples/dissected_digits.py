"""Units of a small ProGAN that draw digits: found by dissection, switched off, and painted with.

    python examples/dissected_digits.py --out docs/images            from weights beside this file
    python examples/dissected_digits.py --train --out docs/images    trains the recipe before

The recipe is digits_dissection. Nobody told the generator what a digit is.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor

import fastcv
from fastcv._files import replacing
from fastcv.explain import Dissection, edit_units, unit_quantiles
from fastcv.models.generative.progan import ProGAN
from fastcv.recipes.explain.digits_dissection import LAYER, MIN_IOU, RECIPE, SIDE, dissected

WEIGHTS = Path(__file__).with_suffix("") / "generator.safetensors"
PICTURES = 6  # of each unit
UNITS = 3  # of each concept
SEEDS = (17, 36, 48, 58)


def train() -> None:
    """Runs the recipe, and keeps its generator."""
    WEIGHTS.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        print(RECIPE.train(Path(folder), device="cpu"))
        with replacing(WEIGHTS) as temporary:
            shutil.copyfile(Path(folder) / f"{RECIPE.name}.safetensors", temporary)


def show(ax: Axes, picture: Tensor, label: str = "") -> None:
    ax.imshow(picture.permute(1, 2, 0))
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_xlabel(label, fontsize=9)


def draw_units(model: ProGAN, found: Dissection, out: Path) -> None:
    """The best units of each concept, and the samples in which they are highest."""
    latents = model.latents(1000)
    rows = [
        (name, int(unit))
        for label, name in reversed(list(enumerate(found.concepts)))
        for unit in found.iou[:, label].argsort(descending=True)[:UNITS]
    ]
    figure, axes = plt.subplots(len(rows), PICTURES, figsize=(1.25 * PICTURES, 1.32 * len(rows)))
    for row, (name, unit) in zip(axes, rows, strict=True):
        best = latents[found.top[unit]]
        maps: list[Tensor] = []
        hook = model.get_submodule(LAYER).register_forward_hook(
            lambda _m, _i, output, maps=maps: maps.append(output)
        )
        pictures = model.sample(best).pictures
        hook.remove()
        large = torch.nn.functional.interpolate(maps[0], (SIDE, SIDE), mode="bilinear")[:, unit]
        on = large > found.thresholds[unit]
        for ax, picture, where in zip(row, pictures, on, strict=True):
            show(ax, picture * torch.where(where, 1.0, 0.35))
            ax.contour(where, levels=[0.5], colors="yellow", linewidths=0.8)
        iou = found.iou[unit, found.concepts.index(name)]
        row[0].set_ylabel(f"{name}\nunit {unit}\nIoU {iou:.2f}", fontsize=8)
    figure.tight_layout(pad=0.4)
    figure.savefig(out, dpi=90)
    plt.close(figure)


def draw_painted(model: ProGAN, found: Dissection, out: Path) -> None:
    """Samples, their digit's units off, a painted stroke, and the units high under it."""
    units = found.units("digit", min_iou=MIN_IOU)
    level = unit_quantiles(model, LAYER, model.latents(1000))[units]
    masks = strokes()
    figure, axes = plt.subplots(len(SEEDS), 4, figsize=(6.4, 1.72 * len(SEEDS)))
    for row, seed, mask in zip(axes, SEEDS, masks, strict=True):
        latents = model.latents(1, seed=seed)
        before = model.sample(latents).pictures[0]
        with edit_units(model, LAYER, units):
            without = model.sample(latents).pictures[0]
        with edit_units(model, LAYER, units, "insert", mask=mask, level=level):
            after = model.sample(latents).pictures[0]
        show(row[0], before)
        show(row[1], without)
        red = torch.tensor([1.0, 0.1, 0.1])[:, None, None]
        show(row[2], torch.where(mask, 0.35 * before + 0.65 * red, before))
        show(row[3], after)
    titles = ("sample", f"{len(units)} units off", "painted", "units high there")
    for ax, title in zip(axes[0], titles, strict=True):
        ax.set_title(title, fontsize=10)
    figure.tight_layout(pad=0.5)
    figure.savefig(out, dpi=90)
    plt.close(figure)


def strokes() -> Tensor:
    """Bool ``[4, 32, 32]``: a bar, a corner, a diagonal, a ring."""
    masks = torch.zeros(len(SEEDS), SIDE, SIDE, dtype=torch.bool)
    masks[0, 3:29, 2:6] = True
    masks[1, 2:6, 4:28] = masks[1, 2:20, 4:8] = True
    rows = torch.arange(SIDE)
    masks[2] = (rows[:, None] - rows).abs() < 3
    distance = ((rows[:, None] - 15.5).square() + (rows - 15.5).square()).sqrt()
    masks[3] = (distance > 10) & (distance < 13.5)
    return masks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", action="store_true", help="train anew before")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="a folder")
    options = parser.parse_args()
    if options.train:
        train()
    model = fastcv.load_model(WEIGHTS).float()
    assert isinstance(model, ProGAN)
    found = dissected(model)
    draw_units(model, found, options.out / "dissection.png")
    draw_painted(model, found, options.out / "painted_units.png")
    print(f"wrote dissection.png and painted_units.png to {options.out}")


if __name__ == "__main__":
    main()
