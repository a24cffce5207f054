"""YOLACT's prototypes on a drawn scene, and what three digits take of each.

python examples/yolact_prototypes.py            from weights beside this file
python examples/yolact_prototypes.py --train    trains the recipe before, digits_yolact
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from safetensors.torch import load_file, save_file
from torch import Tensor

from fastcv._files import replacing
from fastcv.models.instance.yolact import YOLACT
from fastcv.nn.detection.prototypes import combined
from fastcv.ops import nms
from fastcv.recipes.instance.digits_yolact import RECIPE

WEIGHTS = Path(__file__).with_suffix(".safetensors")  # but for the trunk, which the package has
SCENE = 13
SHOWN = 3  # digits


def train() -> None:
    """Runs the recipe, and keeps what it trained."""
    with tempfile.TemporaryDirectory() as folder:
        print(RECIPE.train(Path(folder), device="cpu"))
        state = load_file(Path(folder) / f"{RECIPE.name}.safetensors")
    with replacing(WEIGHTS) as temporary:
        save_file({k: v for k, v in state.items() if not k.startswith("backbone.")}, temporary)


def load() -> YOLACT:
    """The trained model."""
    model = RECIPE.build()
    assert isinstance(model, YOLACT)
    state = {key: value.float() for key, value in load_file(WEIGHTS).items()}
    model.load_state_dict({**model.state_dict(), **state})
    return model.eval()


def show(ax: Axes, picture: Tensor, **options: object) -> None:
    ax.imshow(picture, **options)
    ax.set_xticks([])
    ax.set_yticks([])


def draw(model: YOLACT, image: Tensor, out: Path) -> None:
    """A column for each prototype and a row for each digit; on the right the digits' masks."""
    with torch.inference_mode():
        output = model([image])
        (found,) = model.postprocess(output)
    found = found[nms(found.boxes, found.scores, 0.5)[:SHOWN]]  # one for each place
    prototypes, coefficients = output.prototypes[0], found.fields["coefficients"]
    shown = range(len(found))
    maps = combined(prototypes, coefficients).sigmoid()
    columns = len(prototypes)
    figure = plt.figure(figsize=(14, 1.1 + 1.5 * len(shown)), layout="constrained")
    grid = figure.add_gridspec(1 + len(shown), columns + 4, height_ratios=[1] + [1.5] * len(shown))
    for k, prototype in enumerate(prototypes):
        ax = figure.add_subplot(grid[0, k])
        show(ax, prototype, cmap="magma")
        ax.set_title(str(k + 1), fontsize=9)
    show(figure.add_subplot(grid[0, columns:]), image.permute(1, 2, 0))
    for i in shown:
        name = f"{found.classes[int(found.labels[i])]} ({found.scores[i]:.2f})"
        ax = figure.add_subplot(grid[1 + i, :columns])
        values = coefficients[i].tolist()
        colors = ["tab:red" if value > 0 else "tab:blue" for value in values]
        ax.bar(range(columns), values, color=colors)
        ax.axhline(0, color="black", linewidth=0.8)
        ax.set(xlim=(-0.5, columns - 0.5), ylim=(-1, 1), xticks=[])
        ax.set_ylabel(name, fontsize=9)
        for part, picture in enumerate((maps[i], found.masks[i])):
            ax = figure.add_subplot(grid[1 + i, columns + 2 * part : columns + 2 * part + 2])
            show(ax, picture.float(), cmap="gray", vmin=0, vmax=1)
            if i == 0:
                ax.set_title(("sigmoid of the sum", "in its box, above 0.5")[part], fontsize=8)
    figure.savefig(out, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/yolact_prototypes.png")
    parser.add_argument("--train", action="store_true", help="train the recipe before")
    arguments = parser.parse_args()
    if arguments.train:
        train()
    image, _ = RECIPE.data["test"]()[SCENE]
    draw(load(), image, Path(arguments.out))


if __name__ == "__main__":
    main()
