"""Two stacked hourglasses on crops of digits: the key, and what each stack says.

python examples/hourglass_stacks.py            from weights beside this file
python examples/hourglass_stacks.py --train    trains the recipe before, digits_hourglass
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from fastcv import load_model, save_model
from fastcv._files import replacing
from fastcv.recipes.landmarks.digits_hourglass import RECIPE, stacks

WEIGHTS = Path(__file__).with_suffix(".safetensors")


def train() -> None:
    """Runs the recipe, and keeps what it trained."""
    with tempfile.TemporaryDirectory() as folder:
        print(RECIPE.train(Path(folder), device="cpu"))
        save_model(WEIGHTS, load_model(Path(folder) / f"{RECIPE.name}.safetensors"), half=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/hourglass_stacks.png")
    parser.add_argument("--train", action="store_true", help="train the recipe before")
    arguments = parser.parse_args()
    if arguments.train:
        train()
    with replacing(Path(arguments.out)) as temporary:
        stacks(load_model(WEIGHTS).eval()).save(temporary)


if __name__ == "__main__":
    main()
