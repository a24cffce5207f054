"""Occlusion: what becomes of the score when a part of the image is covered."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.explain._inputs import Images, read_inputs
from fastcv.explain._layers import explaining
from fastcv.explain.targets import Resolved, Targets, resolve
from fastcv.results import Attribution

Fill = float | Literal["mean", "blur"]


def occlusion(
    model: nn.Module,
    images: Images,
    target: Targets = None,
    *,
    window: int | tuple[int, int] = 32,
    stride: int | tuple[int, int] = 16,
    fill: Fill = 0.0,
    batch_size: int = 16,
) -> Attribution:
    """Covers a window of the image, at one place after the other, and notes the score.

    Args:
        model, images, target: as for ``grad_cam``.
        window: height and width of what is covered, in pixels.
        stride: down and right, from one place to the next.
        fill: with what: a number, in the values that ``forward`` takes, where 0 is the mean colour
            of normalised images; ``"mean"``, the image's own mean colour; ``"blur"``, the image
            itself without what is finer than the window.
        batch_size: covered images in a forward.

    Returns:
        ``cells`` ``[B, rows, columns]``: by how much covering each place changes the score; below
        0 where the window hides what speaks for the target. ``maps`` ``[B, H, W]``: of each pixel
        the mean loss of the score over the windows that cover it, high where it matters.

    Raises:
        ValueError: a window that is larger than the image, or an option out of its range.

    Source: Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks" (2014),
        section 4.2, with a grey square.

    Example:
        >>> import torch
        >>> from fastcv import explain
        >>> model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
        >>> image = torch.rand(1, 1, 4, 4)
        >>> found = explain.occlusion(model, image, 1, window=2, stride=2)
        >>> hidden = (model[1].weight[1].view(4, 4) * image[0, 0])[:2, :2].sum()
        >>> torch.testing.assert_close(found.cells[0, 0, 0], -hidden.detach())
        >>> torch.testing.assert_close(found.maps[0, 1, 1], hidden.detach())
    """
    inputs = read_inputs(model, images)
    size, step = _pair("window", window), _pair("stride", stride)
    for name, own, side in zip(("high", "wide"), size, inputs.size, strict=True):
        if own > side:
            raise ValueError(f"window must be at most {side} {name}, as the image, got {own}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    tops, lefts = (
        range(0, -(-(side - own) // by) * by + 1, by)
        for side, own, by in zip(inputs.size, size, step, strict=True)
    )
    places = [(top, left) for top in tops for left in lefts]
    with explaining(model), torch.no_grad():
        output = model(inputs.batch)
        resolved = resolve(model, output, target, len(inputs))
        scores = resolved(output)
        changes = torch.stack(
            [
                _scores(model, image, filled, resolved, i, places, size, batch_size) - scores[i]
                for i, (image, filled) in enumerate(
                    zip(inputs.batch, _filled(inputs.batch, fill, size), strict=True)
                )
            ]
        )
    losses, times = inputs.batch.new_zeros(2, len(inputs), *inputs.size, dtype=torch.float32)
    for i, (top, left) in enumerate(places):
        rows, columns = slice(top, top + size[0]), slice(left, left + size[1])
        losses[:, rows, columns] -= changes[:, i, None, None]
        times[:, rows, columns] += 1
    return Attribution(
        losses / times.clamp(min=1),
        "occlusion",
        resolved.names,
        inputs.pictures,
        scores,
        cells=changes.view(len(inputs), len(tops), len(lefts)),
        source=inputs.source,
    )


def _scores(
    model: nn.Module,
    image: Tensor,
    filled: Tensor,
    resolved: Resolved,
    number: int,
    places: list[tuple[int, int]],
    size: tuple[int, int],
    batch_size: int,
) -> Tensor:
    """The score of an image with each place covered, ``[P]``."""
    scores = []
    for begin in range(0, len(places), batch_size):
        some = places[begin : begin + batch_size]
        covered = image.repeat(len(some), 1, 1, 1)
        for one, (top, left) in zip(covered, some, strict=True):
            rows, columns = slice(top, top + size[0]), slice(left, left + size[1])
            one[:, rows, columns] = filled[:, rows, columns]
        scores.append(resolved.repeated(number, len(some))(model(covered)))
    return torch.cat(scores)


def _filled(batch: Tensor, fill: Fill, window: tuple[int, int]) -> Tensor:
    """What a window uncovers of, ``[B, C, H, W]``."""
    if fill == "mean":
        return batch.mean(dim=(2, 3), keepdim=True).expand_as(batch)
    if fill == "blur":
        return blurred(batch, max(window))
    if isinstance(fill, str) or not math.isfinite(fill):
        raise ValueError(f"fill must be a number, 'mean' or 'blur', got {fill!r}")
    return torch.full_like(batch, fill)


def blurred(batch: Tensor, reach: int) -> Tensor:
    """Images without what is finer than ``reach`` pixels: the mean of squares, three times over."""
    pad = min(max(reach // 2, 1), *(side - 1 for side in batch.shape[2:]))
    for _ in range(3):
        padded = F.pad(batch, [pad] * 4, mode="reflect") if pad else batch
        batch = F.avg_pool2d(padded, 2 * pad + 1, stride=1)
    return batch


def _pair(name: str, value: int | tuple[int, int]) -> tuple[int, int]:
    down, right = (value, value) if isinstance(value, int) else value
    if down < 1 or right < 1:
        raise ValueError(f"{name} must be at least 1 pixel, got {value}")
    return down, right
