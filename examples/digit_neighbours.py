"""What a network learned of digits, as pictures: neighbours, a map of its features, patches.

    python examples/digit_neighbours.py --out docs/images          draws, from weights beside this
    python examples/digit_neighbours.py --train --out docs/images  runs the recipe before

Prints how far apart digits lie in the map.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from safetensors.torch import load_file, save
from sklearn.manifold import trustworthiness
from top_patches_figure import draw_patches
from torch import Tensor

from fastcv import explain
from fastcv._files import replacing
from fastcv.recipes.explain.digits_neighbours import (
    DATABASE,
    NEAREST,
    RECIPE,
    CanvasDigits,
    SmallCNN,
    side_by_side,
)

WEIGHTS = Path(__file__).with_suffix(".safetensors")
ALIKE = ((3, 5), (3, 8), (5, 8))
LAYERS = ("conv1", "conv2", "conv3")


def train() -> None:
    """Runs the recipe, and keeps the weights in half precision."""
    with tempfile.TemporaryDirectory() as folder:
        print(RECIPE.train(folder, device="cpu"))
        state = load_file(Path(folder) / "model.safetensors")
    kept = {k: v.half() if v.is_floating_point() else v for k, v in state.items()}
    with replacing(WEIGHTS) as temporary:
        temporary.write_bytes(save(kept))


def trained() -> SmallCNN:
    model = SmallCNN()
    model.load_state_dict(load_file(WEIGHTS))
    return model.eval()


def ranks(points: Tensor, labels: Tensor) -> list[int]:
    """Of the pairs of digits that are alike: how many of the 45 lie no farther apart."""
    centres = torch.stack([points[labels == digit].mean(dim=0) for digit in range(10)])
    pairs = sorted(itertools.combinations(range(10), 2), key=lambda p: _apart(centres, *p))
    return [pairs.index(pair) + 1 for pair in ALIKE]


def _apart(centres: Tensor, a: int, b: int) -> float:
    return float((centres[a] - centres[b]).norm())


def draw_map(model: SmallCNN, out: Path) -> None:
    """t-SNE of the features of the digits that the network did not learn from."""
    digits = CanvasDigits(slice(DATABASE, None), seed=2)
    batch = model.prepare(list(digits.images))
    features = explain.neighbours(model, batch, layer="conv3").features
    points = explain.embed_2d(features)
    trust = trustworthiness(features.numpy(), points.numpy(), n_neighbors=5)
    print(f"features: trustworthiness {trust:.3f}, ranks {ranks(points, digits.labels)}")
    inks = list(digits.images[:, :, 2:14, 2:14])
    explain.thumbnail_scatter(points, inks, digits.labels.tolist(), size=800, thumbnail=18).save(
        out
    )


def measure_pixels() -> None:
    """The same of all 1,797 scans' pixels, as they are."""
    scans = CanvasDigits(slice(None), moved=False)
    pixels = scans.images[:, 0, 4:12, 4:12].flatten(1) * 16
    for method in ("tsne", "pca"):
        points = explain.embed_2d(pixels, method)
        trust = trustworthiness(pixels.numpy(), points.numpy(), n_neighbors=5)
        print(
            f"pixels by {method}: trustworthiness {trust:.3f}, ranks {ranks(points, scans.labels)}"
        )


def draw_neighbours(model: SmallCNN, out: Path) -> None:
    """A row for each query: its nearest by pixels, then by features."""
    rows = side_by_side(model)
    figure, axes = plt.subplots(
        len(rows),
        2 * NEAREST + 3,
        figsize=(12, 1.15 * len(rows)),
        width_ratios=[1, 0.3, *[1] * NEAREST, 0.3, *[1] * NEAREST],
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for row, shown in zip(axes, rows, strict=True):
        row[0].imshow(shown.query[0], cmap="gray")
        row[0].set_title(f"a {shown.label}", fontsize=9)
        for start, by in ((2, "pixels"), (NEAREST + 3, "features")):
            there = zip(row[start : start + NEAREST], shown.nearest[by], strict=True)
            for i, (ax, (image, label)) in enumerate(there):
                ax.imshow(image[0], cmap="gray")
                color = "tab:green" if label == shown.label else "tab:red"
                ax.set_title(f"by {by}: {label}" if i == 0 else label, fontsize=9, color=color)
    figure.tight_layout(w_pad=0.3)
    figure.savefig(out, dpi=80)
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", action="store_true", help="train anew before")
    parser.add_argument("--measure", action="store_true", help="maps of the pixels, too")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="a folder")
    options = parser.parse_args()
    if options.train:
        train()
    if options.measure:
        measure_pixels()
    model = trained()
    draw_neighbours(model, options.out / "explain_neighbours.png")
    draw_map(model, options.out / "explain_map.png")
    digits = CanvasDigits(slice(DATABASE, None), seed=2)
    found = explain.top_patches(model, model.prepare(list(digits.images)), LAYERS)
    layers = {name: name for name in LAYERS}
    draw_patches(found, layers, options.out / "explain_top_patches.png", grey=True)
    print(f"wrote pictures to {options.out}")


if __name__ == "__main__":
    main()
