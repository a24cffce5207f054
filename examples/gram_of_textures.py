"""Gram matrices of two textures' edge responses, as a picture.

python examples/gram_of_textures.py --out docs/images/gram.png
"""

from __future__ import annotations

import argparse
import math

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import skimage
import torch

import fastcv.ops as ops

FILTERS, SIZE = 16, 15


def edge_filters() -> torch.Tensor:
    """``[16, 1, 15, 15]``: a bright and a dark bar side by side, at 16 angles over half a turn."""
    y, x = torch.meshgrid(*[torch.linspace(-2, 2, SIZE)] * 2, indexing="ij")
    angles = torch.arange(FILTERS) * math.pi / FILTERS
    across = x * angles.cos()[:, None, None] + y * angles.sin()[:, None, None]
    window = torch.exp(-(x**2 + y**2))
    return (across * window)[:, None]


def responses(image: torch.Tensor) -> torch.Tensor:
    image = (image - image.mean()) / image.std()
    return torch.nn.functional.conv2d(image[None, None], edge_filters()).relu()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default="docs/images/gram.png")
    out = parser.parse_args().out
    figure, axes = plt.subplots(1, 4, figsize=(11, 3), layout="constrained")
    for i, name in enumerate(("brick", "grass")):
        image = torch.from_numpy(getattr(skimage.data, name)()).float()[:256, :256]
        gram = ops.gram_matrix(responses(image))[0]
        axes[2 * i].imshow(image, cmap="gray")
        axes[2 * i].set_title(name)
        axes[2 * i].axis("off")
        axes[2 * i + 1].imshow(gram / gram.max(), cmap="viridis", vmin=0)
        axes[2 * i + 1].set(title="Gram matrix", xlabel="filter's angle", ylabel="filter's angle")
        ticks = [0, 4, 8, 12]
        labels = [f"{180 * k // FILTERS}°" for k in ticks]
        axes[2 * i + 1].set_xticks(ticks, labels)
        axes[2 * i + 1].set_yticks(ticks, labels)
    figure.savefig(out, dpi=110)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
