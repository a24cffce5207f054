"""What one output of each stage sees of a photograph, as a picture.

    python examples/receptive_fields.py --out docs/images/receptive_fields.png

The frame is calculated, the light is measured: it is the gradient of that output with respect to
the pixels, of a network with random weights.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import skimage
import torch
from matplotlib.patches import Rectangle

import fastcv
from fastcv.explain import receptive_field

LAYERS = ("maxpool", "layer1", "layer2", "layer3")


def light(model: torch.nn.Module, layer: str, image: torch.Tensor) -> torch.Tensor:
    """``[H, W]`` in [0, 1]: how strongly the output in the middle of a layer depends on a pixel."""
    maps: list[torch.Tensor] = []
    hook = model.get_submodule(layer).register_forward_hook(lambda m, i, out: maps.append(out))
    image = image.clone().requires_grad_()
    model(image[None])
    hook.remove()
    middle = maps[0][0, :, maps[0].shape[2] // 2, maps[0].shape[3] // 2].sum()
    (gradient,) = torch.autograd.grad(middle, image)
    strength = gradient.abs().sum(0)
    return (strength / strength.max()).sqrt()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/receptive_fields.png")
    out = parser.parse_args().out
    torch.manual_seed(0)
    photograph = torch.from_numpy(skimage.data.chelsea()).permute(2, 0, 1)[:, :288, 76:364] / 255
    size = (photograph.shape[1], photograph.shape[2])
    model = fastcv.create_model("resnet18").eval()
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.7), layout="constrained")
    for axis, layer in zip(axes, LAYERS, strict=True):
        field = receptive_field(model, layer, size)
        cells = size[0] // field.stride[0]
        x1, y1, x2, y2 = field.box(cells // 2, cells // 2)
        seen = light(model, layer, photograph)
        axis.imshow((photograph * (0.4 + 0.6 * seen)).permute(1, 2, 0))
        frame = Rectangle((x1 - 0.5, y1 - 0.5), x2 - x1, y2 - y1, fill=False, ec="#ff4d6d", lw=2)
        axis.add_patch(frame)
        axis.set_title(f"{layer}: {field.size[0]} pixels, stride {field.stride[0]}", fontsize=10)
        axis.set_axis_off()
    figure.savefig(out, dpi=90)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
