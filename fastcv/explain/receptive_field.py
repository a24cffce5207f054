"""What a layer's outputs see of the image: size, stride and place of their receptive fields."""

from __future__ import annotations

import copy
import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fastcv.explain._checks import check_layer_name, check_model
from fastcv.models._mode import alone

aten = torch.ops.aten


@dataclass(frozen=True)
class ReceptiveField:
    """The part of an image that the outputs of a layer can depend on, all in pixels.

    Args:
        size: height and width of what one output sees, padding included.
        stride: down and right, from one output's field to the next one's.
        centre: row and column of the middle of the first output's field.
        image_size: height and width of the image.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    centre: tuple[float, float]
    image_size: tuple[int, int]

    def box(self, row: int, column: int) -> tuple[int, int, int, int]:
        """``(x1, y1, x2, y2)``, half-open, of what output ``[row, column]`` sees of the image."""
        x1, y1, x2, y2 = self.window(row, column)
        height, width = self.image_size
        return max(x1, 0), max(y1, 0), min(x2, width), min(y2, height)

    def window(self, row: int, column: int) -> tuple[int, int, int, int]:
        """``box`` with what lies outside of the image, in the padding."""
        y1, x1 = (
            round(c - (n - 1) / 2) + s * i
            for c, n, s, i in zip(self.centre, self.size, self.stride, (row, column), strict=True)
        )
        return x1, y1, x1 + self.size[1], y1 + self.size[0]


def receptive_field(
    model: nn.Module, layer: str, image_size: tuple[int, int] = (224, 224), *, channels: int = 3
) -> ReceptiveField:
    """The receptive field of a layer, whatever branches lead to it: the largest of all paths.

    The model runs once without numbers, on the meta device. Of each operation it is known how its
    outputs' fields follow from its inputs'. Convolutions (deformable ones with their offsets at
    zero) and poolings widen them; padding with a constant moves them; what keeps a map's size
    passes them on; all else, such as the mean over a map, sees everything. So does every layer
    behind a squeeze and excitation.

    Args:
        model: from one tensor ``[B, channels, H, W]``, as classifiers are.
        layer: its name, as ``model.get_submodule`` takes it.
        image_size: height and width in pixels.
        channels: of the image.

    Raises:
        TypeError: a layer that is no name, or a model that is no module.
        ValueError: no such layer, or one that is not called or whose output is no map.

    Source: Araujo, Norris, Sim, "Computing Receptive Fields of Convolutional Neural Networks"
        (2019).

    Example:
        >>> from torch import nn
        >>> from fastcv.explain import receptive_field
        >>> layers = nn.Conv2d(3, 8, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3)
        >>> model = nn.Sequential(*layers)
        >>> field = receptive_field(model, "2", (32, 32))
        >>> field.size, field.stride, field.centre
        ((8, 8), (2, 2), (2.5, 2.5))
    """
    check_model(model)
    check_layer_name(layer)
    names = [name for name, _ in model.named_modules(remove_duplicate=False) if name]
    if layer not in names:
        near = difflib.get_close_matches(layer, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names[:5])} ..."
        raise ValueError(f"layer: the model has no {layer!r}: {hint}")
    with alone(model):  # not amid a prediction of another thread, which may hook its modules
        model = copy.deepcopy(model)
    model.to("meta", torch.float32).eval()
    made: list[Any] = []
    model.get_submodule(layer).register_forward_hook(lambda _m, _i, output: made.append(output))
    image = torch.empty(1, channels, *image_size, device="meta")
    with torch.random.fork_rng(devices=[]), torch.no_grad(), _Fields(image) as fields:
        model(image)
    if not made or not isinstance(made[-1], Tensor) or made[-1].ndim != 4:
        raise ValueError(f"layer: {layer!r} must make a map [B, C, H, W] in the model's forward")
    axes = fields.of(made[-1]) or (EVERYTHING, EVERYTHING)
    down, right = (
        axis if axis.size < math.inf else Axis(0, side - 1, 0)
        for axis, side in zip(axes, image_size, strict=True)
    )
    return ReceptiveField(
        size=(int(down.size), int(right.size)),
        stride=(down.stride, right.stride),
        centre=(down.middle, right.middle),
        image_size=image_size,
    )


class Axis(NamedTuple):
    """Pixels ``first`` to ``last`` of a row or column, which output 0 sees; output i, moved."""

    first: float
    last: float
    stride: int

    @property
    def size(self) -> float:
        return self.last - self.first + 1

    @property
    def middle(self) -> float:
        return (self.first + self.last) / 2

    def through(self, kernel: int, stride: int, padding: int, dilation: int) -> Axis:
        """Seen through a convolution or a pooling."""
        first = self.first - padding * self.stride
        last = self.last + (dilation * (kernel - 1) - padding) * self.stride
        return Axis(first, last, self.stride * stride)

    def joined(self, other: Axis) -> Axis:
        """What is seen where both paths meet."""
        first, last = min(self.first, other.first), max(self.last, other.last)
        return Axis(first, last, max(self.stride, other.stride))


EVERYTHING = Axis(-math.inf, math.inf, 0)
Axes = tuple[Axis, Axis]


class _Fields(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's is untyped
    """Follows the fields of an image's pixels through whatever is computed of it."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # as above
        pixel = Axis(0, 0, 1)
        # The tensors are kept, so that no other is born with the id of one that is gone.
        self.known: dict[int, tuple[Tensor, Axes]] = {id(image): (image, (pixel, pixel))}

    def of(self, tensor: Tensor) -> Axes | None:
        """None for what does not depend on the image, such as weights."""
        known = self.known.get(id(tensor))
        return None if known is None else known[1]

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        result = function(*args, **(kwargs or {}))
        inputs = [t for t in _tensors([args, kwargs or {}]) if self.of(t) is not None]
        for made in _tensors([result]):
            if inputs:
                self.known[id(made)] = made, self._axes(function, args, inputs, made)
        return result

    def _axes(self, function: Any, args: Sequence[Any], inputs: list[Tensor], made: Tensor) -> Axes:
        window = _window(function, args)
        passed_on = window or any(t.ndim == 4 and t.shape[2:] == made.shape[2:] for t in inputs)
        if not passed_on:
            return EVERYTHING, EVERYTHING
        joined: Axes | None = None
        for tensor in inputs:
            axes = self.known[id(tensor)][1]
            if window and tensor is args[0]:  # and not the offsets
                axes = axes[0].through(*window[0]), axes[1].through(*window[1])
            if joined is not None:
                axes = axes[0].joined(joined[0]), axes[1].joined(joined[1])
            joined = axes
        assert joined is not None
        return joined


def _tensors(tree: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _window(function: Any, args: Sequence[Any]) -> list[tuple[int, int, int, int]] | None:
    """Kernel, stride, padding and dilation down and right; None where there is no window."""
    if function is aten.convolution.default and not args[6]:  # not transposed
        options = [args[1].shape[2:], *args[3:6]]
    elif function is torch.ops.fastcv.deform_conv2d.default:
        options = [args[2].shape[2:], *args[4:7]]
    elif function in (aten.max_pool2d_with_indices.default, aten.avg_pool2d.default):
        given = args[1:5] if function is aten.max_pool2d_with_indices.default else args[1:4]
        options = [*given, *[[], 0, 1][len(given) - 1 :]]
        options[1] = options[1] or options[0]
    elif function is aten.constant_pad_nd.default:  # left, right, top, bottom; or a crop
        left, top = args[1][0], args[1][2] if len(args[1]) > 2 else 0
        return [(1, 1, top, 1), (1, 1, left, 1)]
    else:
        return None
    down, right = zip(*(_pair(option) for option in options), strict=True)
    return [down, right]


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    values = [value] if isinstance(value, int) else list(value)
    return values[0], values[-1]
