"""Reading darknet's ``.weights``: a header, then every layer's numbers in a row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fastcv.nn.layers.locally_connected import LocallyConnected2d

LAYERS = (nn.Conv2d, nn.BatchNorm2d, nn.Linear, LocallyConnected2d)
NORM = ("bias", "weight", "running_mean", "running_var")


def read_darknet(
    path: Path, model: nn.Module, outputs_per_class: int | None = None
) -> dict[str, Tensor]:
    """The state dict of a ``.weights`` file whose layers are those of ``model``, in its order.

    The file does not say which layers it has; only their number of weights tells.

    Args:
        path: the file.
        model: of convolutions with or without norms, local and connected layers.
        outputs_per_class: of the last layer, a connected one: so many more or fewer it may have in
            the file for each class, and is read as it is there. None: it has what the model has.

    Raises:
        ValueError: it holds more or fewer numbers than the model has, or is of an early darknet.

    Source: darknet, ``load_weights``: three int32 (major, minor, revision), the number of images it
        was trained on (int64 from version 0.2 on, int32 before), then float32. Of a layer the bias
        comes first, then scales, means and variances of its norm, then the weights.
    """
    size = path.stat().st_size
    if size < 20 or size % 4 != 0:
        raise ValueError(f"{path} is too short to be a file of darknet's, or cut off: {size} bytes")
    with path.open("rb") as file:
        major, minor, _ = np.fromfile(file, "<i4", 3)
        np.fromfile(file, "<i8" if major * 10 + minor >= 2 else "<i4", 1)
        numbers = torch.from_numpy(np.fromfile(file, "<f4"))
    if max(major, minor) > 1000:
        raise ValueError(f"{path} is of an early darknet: its connected layers are transposed")
    shapes = {name: tensor.shape for name, tensor in _in_order(model).items()}
    needed = sum(shape.numel() for shape in shapes.values())
    if outputs_per_class is not None:
        shapes |= _last_layer(shapes, len(numbers) - needed, outputs_per_class)
    if len(numbers) != sum(shape.numel() for shape in shapes.values()):
        raise ValueError(
            f"{path} holds {len(numbers):,} numbers and this model has {needed:,}: it is of "
            "another network; yolov1 is the paper's, without norms, and yolov1_darknet that of "
            "darknet's yolov1.cfg, with norms, a local layer and three boxes a cell"
        )
    parts = torch.split(numbers, [shape.numel() for shape in shapes.values()])
    return {
        name: part.reshape(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)
    }


def _last_layer(
    shapes: dict[str, torch.Size], more: int, outputs_per_class: int
) -> dict[str, torch.Size]:
    """The last layer's shapes where a file has so many numbers more, or fewer, if any fit."""
    bias, weight = list(shapes)[-2:]
    outputs, inputs = shapes[weight]
    classes, left = divmod(more, outputs_per_class * (inputs + 1))  # an output also has a bias
    outputs += classes * outputs_per_class
    if left or outputs <= 0:
        return {}
    return {bias: torch.Size([outputs]), weight: torch.Size([outputs, inputs])}


def _in_order(model: nn.Module) -> dict[str, Tensor]:
    """The model's tensors by name, in the file's order."""
    layers = [(name, m) for name, m in model.named_modules() if isinstance(m, LAYERS)]
    tensors: dict[str, Tensor] = {}
    following = [*layers[1:], ("", None)]
    for (name, layer), (next_name, next_layer) in zip(layers, following, strict=True):
        if isinstance(layer, nn.BatchNorm2d):
            continue
        if isinstance(next_layer, nn.BatchNorm2d):
            tensors |= {f"{next_name}.{part}": getattr(next_layer, part) for part in NORM}
        else:
            tensors[f"{name}.bias"] = layer.bias  # type: ignore[assignment]  # there is one
        tensors[f"{name}.weight"] = layer.weight
    return tensors
