"""What each loss makes of small scenes: pix2pix by L1, cGAN and both; colours; CycleGAN.

    python examples/translated_digits.py --out docs/images            from weights beside this file
    python examples/translated_digits.py --train --out docs/images    trains the recipes before

The recipes are digits_pix2pix, digits_colours and digits_cyclegan.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import Any

from torch import Tensor

from fastcv import load_model, recipes
from fastcv._files import replacing
from fastcv.recipes.generative._scenes import translated, write_rows

WEIGHTS = Path(__file__).with_suffix("")
SHOWN = 10  # pictures of the test
# By recipe: the picture, the attributes of its data, and the weights of each row between them.
PICTURES = {
    "digits_pix2pix": ("translated_digits.png", "sources", "scenes", ("_L1", "_cGAN", "")),
    "digits_colours": ("coloured_digits.png", "sources", "scenes", ("_MSE", "")),
    "digits_cyclegan": ("digits_on_slate.png", "paper", "slate", ("", "_no_cycle")),
}


def train() -> None:
    """Runs the recipes, and keeps their generators."""
    WEIGHTS.mkdir(exist_ok=True)
    for name, (*_, rows) in PICTURES.items():
        with tempfile.TemporaryDirectory() as folder:
            print(name, recipes.get(name).train(Path(folder), device="cpu"))
            for row in rows:
                with replacing(WEIGHTS / f"{name}{row}.safetensors") as temporary:
                    shutil.copyfile(Path(folder) / f"{name}{row}.safetensors", temporary)


def draw(name: str, out: Path) -> None:
    """Inputs, what each generator makes of them, and the truth: a row of the sheet for each."""
    file, source, truth, rows = PICTURES[name]
    test: Any = recipes.get(name).data["test"]()
    inputs: Tensor = getattr(test, source)[:SHOWN]
    shown = [inputs / 255]
    for row in rows:
        model = load_model(WEIGHTS / f"{name}{row}.safetensors")
        shown.append(translated(model, inputs))
    shown.append(getattr(test, truth)[:SHOWN] / 255)
    write_rows(out / file, shown)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images", type=Path)
    parser.add_argument("--train", action="store_true")
    args = parser.parse_args()
    if args.train:
        train()
    for name in PICTURES:
        draw(name, args.out)


if __name__ == "__main__":
    main()
