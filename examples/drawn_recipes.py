"""Which recipe draws this picture, and which pictures does this recipe draw.

    python examples/drawn_recipes.py --out drawn_recipes.png    from weights beside this file
    python examples/drawn_recipes.py --train --out drawn_recipes.png    trains the recipe before

The recipe of the training is scenes_im2recipe.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from fastcv import load_model, recipes
from fastcv._files import replacing
from fastcv.recipes.language.scenes_im2recipe import scenes

WEIGHTS = Path(__file__).with_suffix("") / "scenes_im2recipe.safetensors"
CANDIDATES = 200  # pictures and recipes to choose from
PICTURE, RECIPE = 3, 17  # of the queries
SHOWN = 5


def train() -> None:
    """Runs the recipe, and keeps the model with kinds."""
    WEIGHTS.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        print(recipes.get("scenes_im2recipe").train(folder, device="cpu"))
        with replacing(WEIGHTS) as temporary:
            shutil.copyfile(Path(folder) / WEIGHTS.name, temporary)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="drawn_recipes.png", type=Path)
    parser.add_argument("--train", action="store_true")
    args = parser.parse_args()
    if args.train:
        train()
    model: Any = load_model(WEIGHTS)
    images, targets = zip(*scenes("test", CANDIDATES), strict=True)
    texts = [target.recipe for target in targets]
    (of_picture,) = model.predict(images[PICTURE], texts=texts, k=SHOWN)
    (of_recipe,) = model.search(texts[RECIPE], list(images), k=SHOWN)
    for found, right in ((of_picture, PICTURE), (of_recipe, RECIPE)):
        ranked = found.indices.tolist()
        print(f"right is {'rank ' + str(1 + ranked.index(right)) if right in ranked else 'below'}")
    sheets = [of_picture.draw(images[PICTURE]), of_recipe.draw()]
    whole = Image.new("RGB", (max(s.width for s in sheets), sum(s.height for s in sheets) + 24))
    whole.paste("white", (0, 0, *whole.size))
    top = 0
    for sheet in sheets:
        whole.paste(sheet, (0, top))
        top += sheet.height + 24
    with replacing(args.out) as temporary:
        whole.save(temporary, "PNG")


if __name__ == "__main__":
    main()
