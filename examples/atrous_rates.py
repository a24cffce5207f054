"""What one output pixel of an atrous separable convolution sees, at four rates, as a picture.

    python examples/atrous_rates.py --out docs/images/atrous_rates.png

The pixels are found, not drawn: they are those with a gradient.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import skimage
import torch

import fastcv.ops as ops

PIXEL = (30, 48)  # on a map of 64 x 96


def pixels_seen(size: tuple[int, int], rate: int) -> torch.Tensor:
    """``[n, 2]``, the (row, column) of what output pixel PIXEL depends on."""
    x = torch.rand(1, 1, *size, requires_grad=True)
    ones = torch.ones(1, 1, 3, 3)
    out = ops.atrous_separable_conv2d(x, ones, ones[..., :1, :1], padding=rate, dilation=rate)
    (grad,) = torch.autograd.grad(out[0, 0, PIXEL[0], PIXEL[1]], x)
    return grad[0, 0].nonzero()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/atrous_rates.png")
    out = parser.parse_args().out
    photograph = torch.from_numpy(skimage.data.coins())[None, None].float()
    image = torch.nn.functional.adaptive_avg_pool2d(photograph, (64, 96))[0, 0]
    figure, axes = plt.subplots(1, 4, figsize=(12, 2.6), layout="constrained")
    for axis, rate in zip(axes, (1, 6, 12, 18), strict=True):
        axis.imshow(image, cmap="gray", interpolation="nearest")
        rows, columns = pixels_seen((64, 96), rate).unbind(1)
        axis.scatter(columns, rows, s=14, c="#ff4d6d", marker="s")
        axis.set_title(f"rate {rate}: {2 * rate + 1} x {2 * rate + 1} pixels", fontsize=10)
        axis.set_axis_off()
    figure.savefig(out, dpi=90)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
