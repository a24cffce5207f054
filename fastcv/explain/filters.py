"""The weights of a convolution as pictures."""

from __future__ import annotations

import math

import torch
from PIL import Image
from torch import Tensor, nn

from fastcv.explain._checks import check_model
from fastcv.explain._layers import find_layer
from fastcv.models import ImageModel
from fastcv.results import Gallery

TILE = 96  # pixels of a filter's longer side, about
MID_GREY, STEPS = 128, 127  # of a weight of 0; from there to black and to white
BETWEEN = 255  # kernels


def filters(
    model: nn.Module, layer: str | None = None, *, channels: int = 64, columns: int = 8
) -> Gallery:
    """The filters of a convolution: in colours where it sees an image, as grids of grey below.

    Each filter is scaled by itself, by its largest weight in magnitude: 0 is mid-grey (128), and
    that weight is 255 or 1.

    Args:
        model: one of ours, or any module.
        layer: the convolution's name; None: the first one.
        channels: how many filters, from the first.
        columns: of the gallery.

    Returns:
        A picture for each filter. Of a layer with 3 input channels: RGB, enlarged. Of others: a
        grid of its kernels, one for each input channel, with white between those of more than a
        pixel. Depthwise filters have one kernel each.

    Raises:
        ValueError: no such layer, or one whose weights are not ``[O, I, h, w]``.

    Source: Krizhevsky, Sutskever, Hinton, "ImageNet Classification with Deep Convolutional Neural
        Networks" (2012), figure 3.

    Example:
        >>> from fastcv import create_model, explain
        >>> model = create_model("resnet18", num_classes=3, width=8)
        >>> explain.filters(model)
        Gallery(conv1, 8 pictures)
        >>> gallery = explain.filters(model, "layer2.0.conv1", channels=4)
        >>> gallery.pictures[0].size  # 8 kernels of 3 x 3, in 3 x 3 cells
        (88, 88)
    """
    if channels < 1:
        raise ValueError(f"channels must be at least 1, got {channels}")
    name, weight = _weight(model, layer)
    if isinstance(model, ImageModel) and model.preprocessing.get("channel_order") == "bgr":
        weight = weight.flip(1) if weight.shape[1] == 3 else weight
    pictures = [filter_picture(one) for one in weight[:channels]]
    return Gallery(pictures, [str(i) for i in range(len(pictures))], columns, name)


def filter_picture(weight: Tensor) -> Image.Image:
    """One filter ``[I, h, w]``: RGB of three input channels, else a grid of grey kernels."""
    levels = to_levels(weight)
    if len(levels) == 3:
        picture = Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy())
    else:
        picture = Image.fromarray(_grid(levels).numpy()).convert("RGB")
    scale = max(1, TILE // max(picture.size))
    size = (picture.width * scale, picture.height * scale)
    return picture.resize(size, Image.Resampling.NEAREST)


def to_levels(weight: Tensor) -> Tensor:
    """uint8 of the same shape: 0 is 128, the largest magnitude 127 above or below it.

    Example:
        >>> import torch
        >>> from fastcv.explain.filters import to_levels
        >>> to_levels(torch.tensor([0.0, 0.5, -0.5, 0.25]))
        tensor([128, 255,   1, 192], dtype=torch.uint8)
    """
    weight = weight.detach().float().cpu().nan_to_num(0.0, 0.0, 0.0)
    strongest = weight.abs().max().clamp(min=torch.finfo(torch.float32).tiny)
    return (MID_GREY + STEPS * (weight / strongest)).round().byte()


def _grid(kernels: Tensor) -> Tensor:
    """``[H, W]`` of ``[I, h, w]``: near a square, a pixel between kernels of more than one."""
    count, height, width = kernels.shape
    gap = int(height * width > 1)
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    size = rows * (height + gap) - gap, columns * (width + gap) - gap
    grid = torch.full(size, BETWEEN, dtype=torch.uint8)
    for i, kernel in enumerate(kernels):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        grid[top : top + height, left : left + width] = kernel
    return grid


def _weight(model: nn.Module, layer: str | None) -> tuple[str, Tensor]:
    check_model(model)
    if layer is None:
        for name, module in model.named_modules():
            weight = getattr(module, "weight", None)
            if isinstance(weight, Tensor) and weight.ndim == 4:
                return name, weight
        raise ValueError("layer=None found no convolution with weights [O, I, h, w] in the model")
    weight = getattr(find_layer(model, layer), "weight", None)
    if not isinstance(weight, Tensor) or weight.ndim != 4:
        shape = f"weights {list(weight.shape)}" if isinstance(weight, Tensor) else "no weights"
        raise ValueError(f"layer {layer!r} must have weights [O, I, h, w], got {shape}")
    return layer, weight
