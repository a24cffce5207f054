"""Sentences, and what a small GAN-CLS makes of each: one text, many pictures.

    python examples/imagined_digits.py --out docs/images           from the weights beside this file
    python examples/imagined_digits.py --train --out docs/images   trains the recipe before

The recipe is scenes_gan_cls.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from PIL import Image

import fastcv
from fastcv import recipes
from fastcv._files import replacing
from fastcv.draw.texts import draw_texts
from fastcv.models import Model
from fastcv.recipes.language.scenes_gan_cls import SHOWN

WEIGHTS = Path(__file__).with_suffix("") / "scenes_gan_cls.safetensors"
ENLARGED, GAP = 2, 4


def train() -> None:
    """Runs the recipe, and keeps the generator."""
    WEIGHTS.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        print(recipes.get("scenes_gan_cls").train(folder, device="cpu"))
        with replacing(WEIGHTS) as temporary:
            shutil.copyfile(Path(folder) / WEIGHTS.name, temporary)


def draw(model: Model, out: Path) -> None:
    """Eight pictures of each sentence, twice as large as they are."""
    made = model.sample(SHOWN, 8, seed=1)  # type: ignore[attr-defined]  # a TextToImage
    pictures = [image.resize([ENLARGED * s for s in image.size], 0) for image in made.images()]
    sheet: Image.Image = draw_texts(pictures, made.texts, GAP)
    with replacing(out) as temporary:
        sheet.save(temporary)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--train", action="store_true", help="train anew before")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="a folder")
    options = parser.parse_args()
    if options.train:
        train()
    draw(fastcv.load_model(WEIGHTS).float(), options.out / "imagined_digits.png")
    print(f"wrote imagined_digits.png to {options.out}")


if __name__ == "__main__":
    main()
