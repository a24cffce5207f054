"""A caption of a drawn scene, and for each word where Show, Attend and Tell looked.

python examples/attention_strip.py            from weights beside this file
python examples/attention_strip.py --train    trains the recipe before, scenes_show_attend_and_tell
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import fastcv
from fastcv._files import replacing
from fastcv.recipes.language._scenes import BEAM, CaptionedScenes
from fastcv.recipes.language.scenes_show_attend_and_tell import RECIPE

WEIGHTS = Path(__file__).with_suffix(".safetensors")
SCENE = 30  # of the test: one of those that are told rightly


def train() -> None:
    """Runs the recipe, and keeps what it trained."""
    with tempfile.TemporaryDirectory() as folder:
        print(RECIPE.train(Path(folder), device="cpu"))
        with replacing(WEIGHTS) as temporary:
            shutil.copyfile(Path(folder) / f"{RECIPE.name}.safetensors", temporary)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=Path("attention_strip.png"))
    parser.add_argument("--train", action="store_true")
    args = parser.parse_args()
    if args.train:
        train()
    scenes = CaptionedScenes("test", SCENE + 1)
    image, references = scenes[SCENE]
    (caption,) = fastcv.load_model(WEIGHTS).predict(image, **BEAM)
    print(f"{caption}; one of the references: {references[0]}")
    strip = caption.draw_attention(image)
    strip.resize((strip.width // 2, strip.height // 2)).save(args.out)


if __name__ == "__main__":
    main()
