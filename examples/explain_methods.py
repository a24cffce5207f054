"""Twelve ways to ask a network what it sees in a photograph, on one sheet.

python examples/explain_methods.py --out docs/images/explain_methods.png
"""

from __future__ import annotations

import argparse

from imagenet_photographs import mobilenet, photograph
from PIL import Image

from fastcv import explain
from fastcv.results import Gallery

PHOTOGRAPHS = {"chelsea": "Egyptian cat", "coffee": "espresso"}


def pictures_of(name: str, target: str) -> dict[str, Image.Image]:
    """The twelve, by caption."""
    model, photo = mobilenet(), photograph(name)
    window = {"window": 48, "stride": 24}

    def draw(found, **options):
        return found.draw(names=False, **options)

    answer = explain.activations(model, photo)
    signed = explain.saliency(model, photo, target, mode="signed", channels="sum")
    return {
        "activation": draw(answer),
        "activation as a mask": draw(answer, how="mask"),
        "occlusion, grey": draw(explain.occlusion(model, photo, target, **window)),
        "saliency": draw(explain.saliency(model, photo, target)),
        "saliency, signed": draw(signed, how="heat"),
        "SmoothGrad": draw(explain.saliency(model, photo, target, samples=12)),
        "SmoothGrad, squared": draw(
            explain.saliency(model, photo, target, samples=12, mode="square")
        ),
        "deconvnet": draw(explain.deconvnet(model, photo, target), how="pixels"),
        "guided backpropagation": draw(explain.guided_backprop(model, photo, target), how="pixels"),
        "CAM": draw(explain.cam(model, photo, target)),
        "Grad-CAM, box at 20 %": draw(explain.grad_cam(model, photo, target), boxes=True),
        "guided Grad-CAM": draw(explain.guided_grad_cam(model, photo, target), how="pixels"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/explain_methods.png")
    out = parser.parse_args().out
    pictures, captions = [], []
    for name, target in PHOTOGRAPHS.items():
        for caption, picture in pictures_of(name, target).items():
            pictures.append(picture.resize((384, 384)))
            captions.append(caption)
    sheet = Gallery(pictures, captions, columns=6).draw()
    small = sheet.resize((sheet.width // 2, sheet.height // 2))
    small.quantize(160).save(out)  # a third of the file
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
