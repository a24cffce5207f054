"""Where a CAM and SCOUTERs see digits, why a digit is one and why it is not another, as pictures.

    python examples/digit_maps.py --out docs/images            draws, from weights beside this file
    python examples/digit_maps.py --train --out docs/images    trains the two recipes before

The scenes are held out: other handwriting on other photographs. Nobody told the networks where
digits are.
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
from safetensors.torch import load_file, save
from torch import Tensor, nn

from fastcv._files import replacing
from fastcv.explain import boxes_of_maps
from fastcv.recipes.explain import digits_cam, digits_scouter
from fastcv.recipes.explain._scenes import OneDigitScenes, to_pixels

WEIGHTS = Path(__file__).with_suffix("")
MODELS = {
    "cam": (digits_cam, "cam", digits_cam.build),
    "why": (digits_scouter, "positive", digits_scouter.build),
    "why_not": (digits_scouter, "negative", lambda: digits_scouter.build(positive=False)),
}
CAM_SCENES = 7
# Of each row a digit, and the others that it is not.
ROWS = ((3, (8, 5)), (3, (8, 2)), (7, (1, 9)))


def train() -> None:
    """Runs the recipes, and keeps the weights in half precision."""
    WEIGHTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for recipe in (digits_cam.RECIPE, digits_scouter.RECIPE):
            print(recipe.train(Path(folder) / recipe.name, device="cpu"))
        for name, (module, part, _) in MODELS.items():
            state = load_file(Path(folder) / module.RECIPE.name / part / "model.safetensors")
            kept = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
            with replacing(WEIGHTS / f"{name}.safetensors") as temporary:
                temporary.write_bytes(save(kept))


def trained(name: str) -> nn.Module:
    model = MODELS[name][2]()
    model.load_state_dict(load_file(WEIGHTS / f"{name}.safetensors"))
    return model.eval()


def logits_and_maps(model: nn.Module, scenes: OneDigitScenes) -> tuple[Tensor, Tensor]:
    with torch.no_grad():
        x = model.prepare(list(scenes.images))
        return model(x), model.class_maps(x)


def show(ax: Axes, image: Tensor, heat: Tensor | None = None, limit: float = 1.0) -> None:
    if heat is None:
        ax.imshow(image.permute(1, 2, 0))
    else:
        ax.imshow(image.mean(dim=0), cmap="gray", vmin=0, vmax=1)
        ax.imshow(heat.clamp(min=0), cmap="inferno", alpha=0.65, vmin=0, vmax=limit)
    ax.set_xticks([])
    ax.set_yticks([])


def outline(ax: Axes, box: Tensor, color: str) -> None:
    x1, y1, x2, y2 = (box - 0.5).tolist()
    ax.add_patch(plt.Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, color=color, lw=2))


def draw_cam(scenes: OneDigitScenes, out: Path) -> None:
    logits, maps = logits_and_maps(trained("cam"), scenes)
    right = (logits.argmax(dim=1) == scenes.labels).nonzero()[:CAM_SCENES, 0]
    figure, axes = plt.subplots(2, CAM_SCENES, figsize=(1.6 * CAM_SCENES, 3.5))
    for column, i in zip(axes.T, right.tolist(), strict=True):
        label = int(scenes.labels[i])
        heat = to_pixels(maps[i, label][None])
        show(column[0], scenes.images[i])
        outline(column[0], scenes.boxes[i], "tab:green")
        show(column[1], scenes.images[i], heat[0], float(heat.max()))
        outline(column[1], boxes_of_maps(heat)[0], "white")
        column[1].set_xlabel(f"map of {label}", fontsize=9)
    figure.tight_layout()
    figure.savefig(out, dpi=90)
    plt.close(figure)


def draw_scouter(scenes: OneDigitScenes, out: Path) -> None:
    found = {kind: logits_and_maps(trained(kind), scenes) for kind in ("why", "why_not")}
    right = torch.stack([logits.argmax(1) == scenes.labels for logits, _ in found.values()]).all(0)
    columns = 2 + max(len(others) for _, others in ROWS)
    figure, axes = plt.subplots(len(ROWS), columns, figsize=(2.3 * columns, 2.5 * len(ROWS)))
    used: set[int] = set()
    for row, (digit, others) in zip(axes, ROWS, strict=True):
        candidates = (right & (scenes.labels == digit)).nonzero()[:, 0].tolist()
        i = next(i for i in candidates if i not in used)
        used.add(i)
        show(row[0], scenes.images[i])
        outline(row[0], scenes.boxes[i], "tab:green")
        row[0].set_xlabel(f"a {digit}", fontsize=10)
        shown = [("why", digit), *(("why_not", other) for other in others)]
        for ax, (kind, label) in zip(row[1:], shown, strict=True):
            logits, maps = found[kind]
            heat = to_pixels(maps[i, label][None])[0]
            show(ax, scenes.images[i], heat)
            ax.set_xlabel(f"{kind.replace('_', ' ')} {label}: {logits[i, label]:+.1f}", fontsize=10)
    figure.tight_layout()
    figure.savefig(out, dpi=90)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", action="store_true", help="train anew before")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="a folder")
    options = parser.parse_args()
    if options.train:
        train()
    scenes = OneDigitScenes("test", 200)
    for name, draw in (("cam.png", draw_cam), ("scouter.png", draw_scouter)):
        draw(scenes, options.out / name)
        print(f"wrote {options.out / name}")


if __name__ == "__main__":
    main()
