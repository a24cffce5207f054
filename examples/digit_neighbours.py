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

import torch
from PIL import Image
from safetensors.torch import load_file, save
from sklearn.manifold import trustworthiness
from torch import Tensor

from fastcv import explain
from fastcv._files import replacing
from fastcv.draw import contact_sheet
from fastcv.recipes.explain.digits_neighbours import (
    DATABASE,
    RECIPE,
    CanvasDigits,
    SmallCNN,
    side_by_side,
)

WEIGHTS = Path(__file__).with_suffix(".safetensors")
ALIKE = ((3, 5), (3, 8), (5, 8))
LAYERS = ("conv1", "conv2", "conv3")
CHANNELS = 5  # of each layer


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
    features = explain.neighbours(model, model.prepare(list(digits.images)), layer="conv3").features
    points = explain.embed_2d(features)
    trust = trustworthiness(features.numpy(), points.numpy(), n_neighbors=5)
    print(f"features: trustworthiness {trust:.3f}, ranks {ranks(points, digits.labels)}")
    inks = list(digits.images[:, :, 2:14, 2:14])
    explain.thumbnail_scatter(points, inks, digits.labels.tolist(), size=800).save(out)


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


def draw_patches(model: SmallCNN, out: Path) -> None:
    """A row for each layer: the patches of its liveliest channels, and what made these answer."""
    digits = CanvasDigits(slice(DATABASE, None), seed=2)
    found = explain.top_patches(model, model.prepare(list(digits.images)), LAYERS)
    tiles = []
    for layer in LAYERS:
        chosen = found[layer].values[:, 0].argsort(descending=True)[:CHANNELS].tolist()
        for back in (False, True):
            tiles += found.gallery(layer, chosen, deconvnet=back).pictures
    side = max(tile.width for tile in tiles)
    tiles = [tile.resize((side, side), Image.Resampling.NEAREST) for tile in tiles]
    contact_sheet(tiles, CHANNELS, gap=6).save(out)


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
    side_by_side(model).save(options.out / "explain_neighbours.png")
    draw_map(model, options.out / "explain_map.png")
    draw_patches(model, options.out / "explain_top_patches.png")
    print(f"wrote three pictures to {options.out}")


if __name__ == "__main__":
    main()
