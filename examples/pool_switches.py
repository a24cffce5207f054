"""ZFNet's first pool undone by its switches, as a picture: what a deconvnet starts from.

python examples/pool_switches.py --out docs/images/pool_switches.png
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import skimage.data
import torch
from feature_maps import show
from torch.nn import functional as F

import fastcv
from fastcv.images import read_image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/pool_switches.png")
    out = parser.parse_args().out

    torch.manual_seed(0)
    model = fastcv.create_model("zfnet").eval()
    image = model.prepare([read_image(skimage.data.chelsea()) / 255])
    with torch.no_grad():
        before = model.features[:2](image)
        after = model.features[:3](image)
        _, switches = model.features_with_switches(image)
    indices, size = switches[0]
    back = F.max_unpool2d(after, indices, 3, stride=2, output_size=size)

    channel = int(before[0].flatten(1).std(dim=1).argmax())
    part = slice(30, 62)  # of the rows and columns before the pool
    figure, axes = plt.subplots(1, 4, figsize=(11, 3.1))
    pixels = image[0].permute(1, 2, 0)
    pixels = (pixels - pixels.min()) / (pixels.max() - pixels.min())
    show(axes[0], pixels, "image", "3 x 224 x 224")
    left, side = 2 * part.start, 2 * (part.stop - part.start)  # the convolution's stride is 2
    axes[0].add_patch(plt.Rectangle((left, left), side, side, fill=False, edgecolor="white"))
    show(axes[1], before[0, channel, part, part], "before the pool", "a part of 110 x 110")
    show(axes[2], after[0, channel, 15:31, 15:31], "after: maxima of 3 x 3", "a part of 55 x 55")
    show(axes[3], back[0, channel, part, part], "put back by the switches", "a part of 110 x 110")
    figure.tight_layout()
    figure.savefig(out, dpi=90)
    plt.close(figure)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
