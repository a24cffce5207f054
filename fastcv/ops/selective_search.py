"""Selective search: boxes where there may be objects of any kind, from regions that merge."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

from fastcv import _extension

_C = _extension.load()

COLOR_SPACES = ("rgb", "hsv", "lab", "rgi", "hue", "intensity")
MEASURES = "CTSF"
MODES: dict[str, tuple[tuple[str, ...], tuple[float, ...], tuple[str, ...]]] = {
    "single": (("hsv",), (100,), ("CTSF",)),
    "fast": (("hsv", "lab"), (50, 100), ("CTSF", "TSF")),
    "quality": (
        ("hsv", "lab", "rgi", "hue", "intensity"),
        (50, 100, 150, 300),
        ("CTSF", "TSF", "F", "S"),
    ),
}
SIGMA = 0.8  # of the smoothing before an image is segmented


class RegionTree(NamedTuple):
    """Regions of an image and the order in which they merged.

    Of N segments there are 2 N - 1 regions: the segments by label, then the unions, the image last.
    """

    boxes: Tensor
    """``[2 N - 1, 4]`` float32, about each region."""
    sizes: Tensor
    """``[2 N - 1]`` int64, in pixels."""
    children: Tensor
    """``[N - 1, 2]`` int64: region N + i is the union of ``children[i]``."""


def felzenszwalb(
    image: Tensor, scale: float = 100.0, sigma: float = SIGMA, min_size: int = 100
) -> Tensor:
    """Cuts an image into regions of one colour or texture, by merging pixels.

    Each pixel has edges to its eight neighbours, as heavy as their colours differ. From the
    lightest on, an edge joins the two regions beside it if it is no heavier than what holds either
    together, plus ``scale`` / (255 * the region's pixels).

    Args:
        image: ``[C, H, W]`` in [0, 1] (floating) or uint8; any number of channels.
        scale: larger means larger regions.
        sigma: of the Gaussian that smooths the image first, in pixels; 0 leaves it as it is.
        min_size: smaller regions join a neighbour, in pixels.

    Returns:
        ``[H, W]`` int64 on the CPU: regions 0, 1, ... as they appear, row by row. As
        scikit-image's ``felzenszwalb``, but for rounding to float32 and for edges of one weight.

    Raises:
        TypeError, ValueError: an image of another kind or shape, or with NaN; a number out of its
            range.

    Source: Felzenszwalb and Huttenlocher, "Efficient Graph-Based Image Segmentation" (2004).

    Example:
        >>> import torch, fastcv
        >>> image = torch.zeros(3, 4, 6)
        >>> image[:, :, 4:] = 1
        >>> fastcv.ops.felzenszwalb(image, sigma=0, min_size=1)[0]
        tensor([0, 0, 0, 0, 1, 1])
    """
    for name, value in (("scale", scale), ("sigma", sigma), ("min_size", min_size)):
        if not 0 <= value < math.inf:
            raise ValueError(f"{name} must be a number of at least 0, got {value}")
    return _C.felzenszwalb(_as_float(image), scale, sigma, min_size)


def group_regions(
    image: Tensor, labels: Tensor, *, color_space: str = "hsv", similarity: str = "CTSF"
) -> RegionTree:
    """Merges the two most similar neighbours again and again, until the image is one region.

    Args:
        image: ``[3, H, W]``, RGB in [0, 1] (floating) or uint8.
        labels: ``[H, W]`` int64, regions 0 to N - 1, as ``felzenszwalb`` gives.
        color_space: where colours and textures are compared: ``"rgb"``, ``"hsv"``, ``"lab"``,
            ``"rgi"``, ``"hue"`` or ``"intensity"``.
        similarity: what counts, each in [0, 1]: colour (C), texture (T), size (S), fill (F).

    Raises:
        TypeError, ValueError: an image of another kind or shape, or an unknown name.
        RuntimeError: ``labels`` of another shape or dtype, or a number that is missing.

    Source: Uijlings et al., "Selective Search for Object Recognition" (2013), section 3.1.

    Example:
        >>> import torch, fastcv
        >>> labels = torch.tensor([[0, 0, 1, 2]]).expand(4, 4).contiguous()
        >>> image = torch.tensor([0.9, 0.9, 0.1, 0.2]).expand(3, 4, 4)
        >>> tree = fastcv.ops.group_regions(image, labels)
        >>> tree.children  # the two dark ones, then all
        tensor([[1, 2], [0, 3]])
        >>> tree.boxes[3]
        tensor([2., 0., 4., 4.])
    """
    return RegionTree(
        *_C.group_regions(
            _as_float(image, channels=3),
            labels.cpu().contiguous(),
            _index_of(color_space),
            _bits_of(similarity),
        )
    )


def selective_search(
    image: Tensor,
    mode: str = "fast",
    seed: int = 0,
    *,
    min_side: float = 0.0,
) -> Tensor:
    """Boxes where objects may be, by merging regions in many ways.

    A strategy cuts the image into regions in one colour space and with one scale, and merges them
    by one similarity; every region on the way gives a box. ``"single"`` is one strategy (HSV, scale
    100, CTSF), ``"fast"`` 8, ``"quality"`` the paper's 80.

    Args:
        image: ``[3, H, W]``, RGB in [0, 1] (floating) or uint8.
        mode: ``"single"``, ``"fast"`` or ``"quality"``.
        seed: of the order, see below.
        min_side: boxes with a shorter side are left out, in pixels.

    Returns:
        ``[N, 4]`` float32 on the CPU, each box once. The likeliest first, so that any first few are
        a good choice: a region's rank is its place in its hierarchy (1 for the whole image) times a
        random number, and boxes come by rising rank.

    Raises:
        TypeError, ValueError: an image of another kind or shape, or with NaN; an unknown mode.

    Source: Uijlings et al., "Selective Search for Object Recognition" (2013), sections 3 and 5.

    Example:
        >>> import torch, fastcv
        >>> image = torch.zeros(3, 60, 80)
        >>> image[:, 20:50, 10:50] = 1
        >>> boxes = fastcv.ops.selective_search(image)
        >>> [10.0, 20.0, 50.0, 50.0] in boxes.tolist()
        True
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    spaces, scales, similarities = MODES[mode]
    boxes, places = _C.selective_search(
        _as_float(image, channels=3),
        [_index_of(space) for space in spaces],
        scales,
        [_bits_of(similarity) for similarity in similarities],
        SIGMA,
    )
    generator = torch.Generator().manual_seed(seed)
    rank = torch.rand(len(places), generator=generator, dtype=torch.float64) * places
    boxes = _first_of_each(boxes[rank.argsort(stable=True)], image.shape[-1])
    sides = boxes[:, 2:] - boxes[:, :2]
    return boxes[(sides >= min_side).all(dim=1)]


def _first_of_each(boxes: Tensor, width: int) -> Tensor:
    """Boxes ``[N, 4]`` of whole pixels without repetitions, in the order they first come in."""
    corners = boxes.long()
    base = width + 1
    key = corners[:, 1::2] * base + corners[:, 0::2]  # a number for each corner
    keys = key[:, 0] << 32 | key[:, 1]
    _, same = keys.unique(return_inverse=True)  # type: ignore[no-untyped-call]  # torch's is untyped
    index = torch.arange(len(boxes))
    first = torch.full_like(index, len(boxes)).scatter_reduce(0, same, index, "amin")
    return boxes[first[first < len(boxes)].sort().values]


def _as_float(image: Tensor, channels: int | None = None) -> Tensor:
    """The image as the extension takes it."""
    if not isinstance(image, Tensor):
        raise TypeError(f"image must be a tensor [C, H, W], got {type(image).__name__}")
    if image.dim() != 3 or 0 in image.shape or channels not in (None, image.shape[0]):
        raise ValueError(f"image must be [{channels or 'C'}, H, W], got {list(image.shape)}")
    if image.dtype != torch.uint8 and not image.is_floating_point():
        raise TypeError(f"image must be uint8, or floating in [0, 1], got {image.dtype}")
    scale = 255 if image.dtype == torch.uint8 else 1
    image = (image.detach().cpu().float() / scale).contiguous()
    if not image.isfinite().all():
        raise ValueError("image must be finite, got NaN or infinity")
    return image


def _index_of(color_space: str) -> int:
    if color_space not in COLOR_SPACES:
        raise ValueError(
            f"color_space must be one of {', '.join(COLOR_SPACES)}, got {color_space!r}"
        )
    return COLOR_SPACES.index(color_space)


def _bits_of(similarity: str) -> int:
    if not similarity or not set(similarity) <= set(MEASURES):
        raise ValueError(f"similarity must be letters of {MEASURES}, got {similarity!r}")
    return sum(1 << MEASURES.index(letter) for letter in set(similarity))
