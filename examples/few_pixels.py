"""From a few strokes on a photograph to a label for each pixel, as a picture.

    python examples/few_pixels.py --out docs/images/few_pixels.png

Trains the recipe ``few_pixels`` (half a minute) and draws the strokes, what the network says, what
the dense CRF makes of that, and the truth.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from fastcv.metrics import SegmentationMetrics
from fastcv.recipes.segmentation import few_pixels
from fastcv.results import Segmentation

GAP = 12
TITLE = 30


def score(result: Segmentation) -> str:
    metrics = SegmentationMetrics(len(few_pixels.CLASSES))
    metrics.add(result.labels, few_pixels.truth())
    found = metrics.compute()
    return f"mIoU {found['miou']:.2f}, boundary F {found['boundary_f']:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/few_pixels.png")
    out = parser.parse_args().out
    photograph = few_pixels.photograph()
    with tempfile.TemporaryDirectory() as folder:
        few_pixels.train(folder, device="cpu")
        model = few_pixels.RECIPE.load(Path(folder, "model.safetensors"), device="cpu")
    coarse, refined = few_pixels.segment(model, photograph)
    strokes, truth = (
        Segmentation(labels, few_pixels.CLASSES)
        for labels in (few_pixels.strokes(), few_pixels.truth())
    )
    share = dict(strokes.shares())["unlabelled"]
    # What no stroke labels stays as it is in the first picture.
    marked = strokes.draw(photograph, legend=False)
    plain = Image.fromarray(photograph.permute(1, 2, 0).numpy())
    unlabelled = Image.fromarray((strokes.labels == 255).numpy())
    marked.paste(plain, mask=unlabelled)
    panels = [
        (f"strokes on {100 * (1 - share):.1f} % of the pixels", marked),
        (f"network: {score(coarse)}", coarse.draw(photograph, legend=False)),
        (f"with the CRF: {score(refined)}", refined.draw(photograph, legend=False)),
        ("by hand", truth.draw(photograph)),
    ]
    width, height = plain.size
    tallest = max(picture.height for _, picture in panels)
    size = (2 * width + 3 * GAP, 2 * (height + TITLE) + tallest - height + 2 * GAP)
    sheet = Image.new("RGB", size, "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(18)
    for i, (title, picture) in enumerate(panels):
        x, y = GAP + i % 2 * (width + GAP), i // 2 * (height + TITLE + GAP)
        pen.text((x, y + 4), title, "black", font)
        sheet.paste(picture, (x, y + TITLE))
    sheet.save(out)
    print(out)


if __name__ == "__main__":
    main()
