"""What drawn scenes look like: pictures of each split, a caption and a question of each.

python examples/drawn_scenes.py --out docs/images/drawn_scenes.png
"""

from __future__ import annotations

import argparse
import textwrap
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from fastcv._files import replacing
from fastcv.data import DrawnScenes, SceneQuestions
from fastcv.data.scene_text import captions

COLUMNS = 4  # pictures of a split


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("drawn_scenes.png"))
    out = parser.parse_args().out
    figure, axes = plt.subplots(3, COLUMNS, figsize=(12, 10.5), layout="constrained")
    for row, split in zip(axes, ("train", "val", "test"), strict=True):
        scenes = DrawnScenes(split)
        questions = SceneQuestions(scenes)
        for i, axis in enumerate(row):
            image, target = scenes[i]
            caption = captions(target["scene"])[i]
            question, answer = questions.asked(target)
            axis.imshow(image.permute(1, 2, 0))
            axis.set(xticks=[], yticks=[])
            axis.set_xlabel(f"{textwrap.fill(caption, 34)}\n{question}? {answer}", fontsize=10)
        row[0].set_ylabel(split, fontsize=12)
    with replacing(out) as temporary:
        figure.savefig(temporary, dpi=80)
    print(f"train, val, test from top to bottom: {out}")


if __name__ == "__main__":
    main()
