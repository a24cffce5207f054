"""What one output of each branch of DeepLab v3's ASPP sees of a photograph, as a picture.

    python examples/aspp_fields.py --out docs/images/aspp_fields.png

The light is measured: it is the gradient of that output with respect to the pixels, of a network
with random weights. The dots are where its weights lie, and the sizes are calculated.
"""

from __future__ import annotations

import argparse
import itertools

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import skimage
import torch

import fastcv
from fastcv.explain import receptive_field

RATES = (0, 6, 12, 18)  # 0: the 1x1 convolution


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
    smooth = torch.nn.functional.avg_pool2d(strength[None, None], 17, 1, 8)[0, 0]
    return smooth / smooth.max()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/aspp_fields.png")
    out = parser.parse_args().out
    torch.manual_seed(0)
    photograph = torch.from_numpy(skimage.data.astronaut()).permute(2, 0, 1) / 255
    size = (photograph.shape[1], photograph.shape[2])
    model = fastcv.create_model("deeplabv3_resnet50", output_stride=16, aux_loss=False, width=16)
    model.eval()
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.7), layout="constrained")
    for i, (axis, rate) in enumerate(zip(axes, RATES, strict=True)):
        layer = f"classifier.0.convs.{i}"
        field = receptive_field(model, layer, size)
        seen = light(model, layer, photograph)
        axis.imshow((photograph * (0.25 + 0.75 * seen)).permute(1, 2, 0))
        cells, stride = size[0] // field.stride[0], field.stride[0]
        steps = (-rate, 0, rate) if rate else (0,)
        on_map = [cells // 2 + step for step in steps if 0 <= cells // 2 + step < cells]
        rows, columns = zip(*itertools.product(on_map, on_map), strict=True)
        axis.scatter([stride * x for x in columns], [stride * y for y in rows], c="#ff4d6d", s=20)
        name = f"rate {rate}" if rate else "1 x 1"
        weights = f"{len(rows)} of {len(steps) ** 2} weights on the map"
        axis.set_title(f"{name}: {field.size[0]} pixels, {weights}", fontsize=9)
        axis.set_axis_off()
    figure.savefig(out, dpi=90)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
