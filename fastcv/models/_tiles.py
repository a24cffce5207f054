"""Pictures that are too large for one pass: tile by tile, blended where tiles overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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

    def enlarged(self, scale: int) -> Span:
        """The same place in an output that is so many times as large."""
        weights = self.weights.repeat_interleave(scale)
        return Span(self.start * scale, self.end * scale, self.until * scale, weights)


def blend_tiles(
    function: Callable[[Tensor], Tensor],
    image: Tensor,
    tile: int,
    overlap: int | None,
    *,
    scale: int = 1,
    progress: bool = False,
) -> Iterator[tuple[int, int, Tensor]]:
    """The outputs of an image's parts, as one output without seams.

    Each tile's outermost quarter of an overlap is context and does not count; over the middle half
    one tile fades into the next. So where a network looks no further than ``overlap / 4`` pixels,
    the values are those of one pass. In memory are a tile, and of the row of tiles above the values
    where it overlaps.

    Args:
        function: from a part of the image ``[C, h, w]`` to its output
            ``[K, scale * h, scale * w]``.
        image: ``[C, H, W]``.
        tile: the tiles' height and width, a multiple of 32, at least 64;
            the last ones are up to 31 larger.
        overlap: the minimum of pixels that neighbours share; a quarter of the tile if None.
        scale: how many times as large as the image the output is.
        progress: show a bar.

    Yields:
        ``(top, left, values)``: the parts of the output, which touch and do not overlap.

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
    above: list[Tensor] = []
    bar = tqdm(total=len(rows) * len(columns), unit="tile", leave=False, disable=not progress)
    with bar:
        for row in rows:
            below: list[Tensor] = []
            left: Tensor | None = None
            for i, column in enumerate(columns):
                part = image[:, row.start : row.end, column.start : column.end]
                down, across = row.enlarged(scale), column.enlarged(scale)
                values = function(part)
                values = values * (down.weights[:, None] * across.weights).to(values)
                if left is not None:
                    values[:, :, : left.shape[2]] += left
                # To the right of `until` the next tile counts too, below it the next row.
                left = values[:, :, across.until - across.start :]
                values = values[:, :, : across.until - across.start]
                if above:
                    values[:, : above[i].shape[1]] += above[i]
                below.append(values[:, down.until - down.start :].clone())
                yield down.start, across.start, values[:, : down.until - down.start]
                bar.update()
            above = below


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
