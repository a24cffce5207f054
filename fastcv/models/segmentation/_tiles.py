"""Labels of a picture that is too large for one pass: tile by tile, blended where tiles overlap."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from tqdm import tqdm

STEP = 32  # tiles begin at multiples of it: strides of networks divide it


class Span(NamedTuple):
    """A tile's place in rows or in columns."""

    start: int
    end: int
    until: int
    """Where the next begins; the end, if there is none."""
    weights: Tensor
    """``[end - start]``: the tile's weight in the mean, from 0 to 1."""


def label_tiles(
    scores_of: Callable[[Tensor], Tensor],
    image: Tensor,
    tile: int,
    overlap: int | None,
    *,
    progress: bool = False,
) -> Tensor:
    """The likeliest class of each pixel, by the mean of the tiles that see it.

    Each tile's outermost quarter of an overlap is context and does not count; over the middle half
    one tile fades into the next. So where a network looks no further than ``overlap / 4`` pixels,
    the labels are those of one pass. In memory are a tile, and of the row of tiles above the scores
    where it overlaps.

    Args:
        scores_of: from a part of the image ``[3, h, w]`` to its scores ``[C, h, w]``.
        image: ``[3, H, W]``.
        tile: the tiles' height and width, a multiple of 32, at least 64;
            the last ones are up to 31 larger.
        overlap: the minimum of pixels that neighbours share; a quarter of the tile if None.
        progress: show a bar.

    Returns:
        ``[H, W]`` on the CPU, uint8; int32 where there are more than 256 classes.

    Raises:
        ValueError: a tile that is no multiple of 32, or an overlap that does not fit it.
    """
    if tile < 2 * STEP or tile % STEP:
        raise ValueError(f"tile must be a multiple of {STEP}, at least {2 * STEP}, got {tile}")
    if overlap is None:
        overlap = tile // 4
    if not 0 <= overlap <= tile - STEP:
        raise ValueError(f"overlap must be 0 to tile - {STEP} = {tile - STEP}, got {overlap}")
    height, width = image.shape[1:]
    rows, columns = spans(height, tile, overlap), spans(width, tile, overlap)
    labels = torch.empty(0)
    above: list[Tensor] = []
    bar = tqdm(total=len(rows) * len(columns), unit="tile", leave=False, disable=not progress)
    with bar:
        for row in rows:
            below: list[Tensor] = []
            left: Tensor | None = None
            for i, column in enumerate(columns):
                part = image[:, row.start : row.end, column.start : column.end]
                scores = scores_of(part)
                scores = scores * (row.weights[:, None] * column.weights).to(scores)
                if left is not None:
                    scores[:, :, : left.shape[2]] += left
                # To the right of `until` the next tile counts too, below it the next row.
                left = scores[:, :, column.until - column.start :]
                scores = scores[:, :, : column.until - column.start]
                if above:
                    scores[:, : above[i].shape[1]] += above[i]
                below.append(scores[:, row.until - row.start :].clone())
                if not len(labels):
                    dtype = torch.uint8 if len(scores) <= 256 else torch.int32
                    labels = torch.empty(height, width, dtype=dtype)
                best = scores[:, : row.until - row.start].argmax(dim=0)
                labels[row.start : row.until, column.start : column.until] = best
                bar.update()
            above = below
    return labels


def spans(size: int, tile: int, overlap: int) -> list[Span]:
    """Tiles that cover ``size`` pixels, neighbours sharing at least ``overlap``."""
    last = max(0, (size - tile) // STEP * STEP)
    stride = (tile - overlap) // STEP * STEP
    starts = [*range(0, last, stride), last]
    ends = [*(start + tile for start in starts[:-1]), size]
    found = []
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        weights = torch.ones(end - start)
        if i > 0:
            weights *= _fade_in(end - start, ends[i - 1] - start)
        if i < len(starts) - 1:
            weights *= _fade_in(end - start, end - starts[i + 1]).flip(0)
        found.append(Span(start, end, [*starts, size][i + 1], weights))
    return found


def _fade_in(length: int, overlap: int) -> Tensor:
    """0 over a quarter of the overlap, up to 1 over its middle half, 1 from there on."""
    if not overlap:
        return torch.ones(length)
    at = torch.arange(length) + 0.5
    return ((at - overlap / 4) / (overlap / 2)).clamp(0, 1)
