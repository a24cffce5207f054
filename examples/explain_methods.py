"""Twelve ways to ask a network what it sees in a photograph, on one sheet.

python examples/explain_methods.py --out docs/images/explain_methods.png

Of each photograph the likeliest class is asked for, right or wrong.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from imagenet_photographs import mobilenet, photograph
from PIL import Image
from torch import Tensor

from fastcv import explain
from fastcv.models import Model

PHOTOGRAPHS = ("chelsea", "coffee", "astronaut", "rocket")
ROWS = 2  # of each photograph


def pictures_of(model: Model, photo: Tensor, target: str) -> dict[str, Image.Image]:
    """The twelve, by caption."""
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
    model = mobilenet()
    figure = plt.figure(figsize=(12, 18), layout="constrained")
    for part, name in zip(figure.subfigures(len(PHOTOGRAPHS), 1), PHOTOGRAPHS, strict=True):
        photo = photograph(name)
        (target,) = explain.grad_cam(model, photo).targets
        drawn = pictures_of(model, photo, target)
        part.suptitle(f"{name}: {target}")
        axes = part.subplots(ROWS, len(drawn) // ROWS)
        for axis, (caption, picture) in zip(axes.flat, drawn.items(), strict=True):
            axis.imshow(picture)
            axis.set_title(caption, fontsize=10)
            axis.set_axis_off()
    figure.savefig(out, dpi=80)
    plt.close(figure)
    with Image.open(out) as picture:  # in 256 colours, a third of the file
        picture = picture.convert("RGB")
    picture.quantize(palette=picture.quantize(256)).save(out)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
