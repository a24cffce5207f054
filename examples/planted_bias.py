"""Where a network looks for a 7 if every 7 it saw lay on grass, and if not, as a picture.

    python examples/planted_bias.py --out docs/images/planted_bias.png            draws
    python examples/planted_bias.py --train --out docs/images/planted_bias.png    trains before

The weights lie beside this file. The scenes are held out: other handwriting, and the other half of
the photograph of grass.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from safetensors.torch import load_file, save
from torch import Tensor, nn

from fastcv import explain
from fastcv._files import replacing
from fastcv.recipes.explain.digits_planted_bias import (
    BIASED,
    RECIPE,
    DigitsOnTextures,
    build,
    changed,
)

WEIGHTS = Path(__file__).with_suffix("")
KINDS = ("biased", "rebalanced")
SCENES = 4


def train() -> None:
    """Runs the recipe, and keeps the weights in half precision."""
    WEIGHTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, value in RECIPE.train(folder, device="cpu").items():
            print(f"{name}: {value:.3f}")
        for kind in KINDS:
            state = load_file(Path(folder) / kind / "model.safetensors")
            kept = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
            with replacing(WEIGHTS / f"{kind}.safetensors") as temporary:
                temporary.write_bytes(save(kept))


def trained(kind: str) -> nn.Module:
    model = build()
    model.load_state_dict(load_file(WEIGHTS / f"{kind}.safetensors"))
    return model.eval()


def columns(scenes: DigitsOnTextures, sevens: list[int]) -> dict[str, Tensor]:
    """Maps ``[SCENES, H, W]`` of each network, by caption."""
    found = {}
    for kind in KINDS:
        model = trained(kind)
        images = model.prepare(list(scenes.images[sevens]))
        found[f"Grad-CAM of 7,\n{kind}"] = explain.grad_cam(model, images, BIASED).maps
        found[f"changed towards a 7,\n{kind}"] = changed(model, images).sqrt()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", action="store_true", help="train anew before")
    parser.add_argument("--out", default="docs/images/planted_bias.png")
    options = parser.parse_args()
    if options.train:
        train()
    scenes = DigitsOnTextures("test", 200, biased=False)
    sevens = ((scenes.labels == BIASED) & scenes.on_grass).nonzero()[:SCENES, 0].tolist()
    maps = columns(scenes, sevens)
    size = (1 + len(maps), SCENES)
    figure, axes = plt.subplots(*size, figsize=(1.6 * SCENES + 2, 1.7 * size[0]))
    for column, i in enumerate(sevens):
        axes[0, column].imshow(scenes.images[i].permute(1, 2, 0))
        for axis, found in zip(axes[1:, column], maps.values(), strict=True):
            axis.imshow(found[column], cmap="inferno", vmin=0)
        for axis in axes[:, column]:
            axis.contour(scenes.masks[i], levels=[0.5], colors="lime", linewidths=1)
            axis.set(xticks=[], yticks=[])
    for axis, name in zip(axes[:, 0], ("a scene, and\nits mask", *maps), strict=True):
        axis.set_ylabel(name, rotation=0, ha="right", va="center", fontsize=10)
    figure.tight_layout()
    figure.savefig(options.out, dpi=90)
    plt.close(figure)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
