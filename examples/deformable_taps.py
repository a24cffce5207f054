"""Where three deformable convolutions in a row look, as a picture.

    python examples/deformable_taps.py --out docs/images/deformable_taps.png

An output of the last stage of ``resnet50_dcn`` is followed back through its three deformable
convolutions: 9 x 9 x 9 samples. Left with offsets at zero, as the model starts; right with random
weights in the layers that predict the offsets, which follow the picture's content but have not
learned from it.
"""

from __future__ import annotations

import argparse

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import skimage
import torch
from torch import Tensor, nn

import fastcv

STRIDE = 16  # pixels from one cell of the map that the last stage reads to the next
SPREAD = 0.7  # of the random offsets, in cells


def offsets_of(model: nn.Module, image: Tensor) -> list[Tensor]:
    """``[9, 2, H, W]`` (down, right) of each deformable convolution, the first one first."""
    found: list[Tensor] = []
    layers = [block.conv2.conv_offset for block in model.layer4]
    hooks = [layer.register_forward_hook(lambda m, i, out: found.append(out)) for layer in layers]
    with torch.no_grad():
        model(image[None])
    for hook in hooks:
        hook.remove()
    return [out[0].unflatten(0, (9, 2)) for out in found]


def follow(cell: tuple[int, int], offsets: list[Tensor]) -> Tensor:
    """``[729, 2]``, the rows and columns in pixels of what an output cell samples."""
    taps = torch.cartesian_prod(torch.arange(-1.0, 2), torch.arange(-1.0, 2))
    points = torch.tensor([cell], dtype=torch.float)
    for i, offset in reversed(list(enumerate(offsets))):
        limits = torch.tensor(offset.shape[2:]) - 1
        rows, columns = points.round().long().clamp(min=0).minimum(limits).unbind(1)
        moved = offset[:, :, rows, columns].permute(2, 0, 1)  # [points, 9, 2]
        stride = 2 if i == 0 else 1
        points = (points[:, None] * stride + taps + moved).flatten(0, 1)
    return points * STRIDE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", default="docs/images/deformable_taps.png")
    out = parser.parse_args().out
    torch.manual_seed(0)
    photograph = torch.from_numpy(skimage.data.chelsea()).permute(2, 0, 1)[:, :288, 76:364] / 255
    model = fastcv.create_model("resnet50_dcn", width=16).eval()
    pictures = {"offsets at zero": offsets_of(model, photograph)}
    for i, block in enumerate(model.layer4):
        layer = block.conv2.conv_offset
        nn.init.normal_(layer.weight)
        with torch.no_grad():
            layer.weight *= SPREAD / offsets_of(model, photograph)[i].std()
    pictures["random offsets"] = offsets_of(model, photograph)

    cell = (4, 4)
    figure, axes = plt.subplots(1, 2, figsize=(8, 4.3), layout="constrained")
    for axis, (title, offsets) in zip(axes, pictures.items(), strict=True):
        rows, columns = follow(cell, offsets).unbind(1)
        axis.imshow(photograph.permute(1, 2, 0))
        axis.plot(columns, rows, "o", color="#ff3b5c", mec="white", mew=0.4, ms=4.5)
        axis.plot(cell[1] * 2 * STRIDE, cell[0] * 2 * STRIDE, "o", color="#00d0a0", ms=8)
        axis.set(xlim=(-0.5, 287.5), ylim=(287.5, -0.5))
        axis.set_title(title, fontsize=11)
        axis.set_axis_off()
    figure.savefig(out, dpi=90)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
