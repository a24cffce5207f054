"""Masks in COCO's forms: run lengths, compressed to text, and polygons."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor


def encode_rle(mask: Tensor) -> dict[str, Any]:
    """COCO's compressed form of a mask, as pycocotools writes it.

    The runs go down the columns, of zeros first. From the fourth on a run is given by its
    difference from the one before the last. Each number is cut into five bits at a time, the low
    ones first, with a sixth bit that says whether more follow, and 48 is added to make a character.

    Args:
        mask: ``[H, W]`` bool.

    Returns:
        ``size`` as [H, W] and ``counts``.

    Example:
        >>> import torch
        >>> from fastcv.results._rle import decode_rle, encode_rle
        >>> mask = torch.tensor([[False, True], [True, True]])
        >>> encode_rle(mask)
        {'size': [2, 2], 'counts': '13'}
        >>> torch.equal(decode_rle(encode_rle(mask)), mask)
        True
    """
    height, width = mask.shape
    return {"size": [height, width], "counts": _to_text(run_lengths(mask))}


def run_lengths(mask: Tensor) -> list[int]:
    """How many pixels of a mask are the same, column by column: zeros, ones, zeros, ...

    Example:
        >>> import torch
        >>> from fastcv.results._rle import run_lengths
        >>> run_lengths(torch.tensor([[True, True], [False, True]]))
        [0, 1, 1, 2]
    """
    pixels = mask.detach().cpu().numpy().astype(bool).ravel(order="F")
    if not pixels.size:
        return []
    ends = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    runs = np.diff(np.concatenate([[0], ends, [pixels.size]])).tolist()
    return [0, *runs] if pixels[0] else runs


def decode_rle(rle: dict[str, Any]) -> Tensor:
    """The mask ``[H, W]`` bool of COCO's RLE, compressed or as a list of runs.

    Raises:
        ValueError: the runs do not fill the size.
    """
    height, width = rle["size"]
    counts = rle["counts"]
    runs = counts if isinstance(counts, list) else _from_text(counts)
    if min(runs, default=0) < 0 or sum(runs) != height * width:
        raise ValueError(f"the runs must fill {height} x {width} pixels, got {sum(runs)}")
    values = np.arange(len(runs)) % 2 == 1
    pixels = np.repeat(values, runs).reshape(width, height).T
    return torch.from_numpy(np.ascontiguousarray(pixels))


def _to_text(runs: list[int]) -> str:
    text = bytearray()
    for i, run in enumerate(runs):
        value = run - runs[i - 2] if i > 2 else run
        more = True
        while more:
            bits = value & 31
            value >>= 5
            # The last piece's highest bit is the sign.
            more = value != (-1 if bits & 16 else 0)
            text.append((bits | 32 if more else bits) + 48)
    return text.decode("ascii")


def _from_text(counts: str | bytes) -> list[int]:
    data = counts.encode("ascii") if isinstance(counts, str) else counts
    runs: list[int] = []
    value = shift = 0
    for character in data:
        bits = character - 48
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    return runs


def outlines(mask: Tensor) -> list[list[int]]:
    """The outer outlines of a mask's parts, along the edges of pixels.

    Parts are of pixels that share an edge. Holes are left out.

    Args:
        mask: ``[H, W]`` bool.

    Returns:
        polygons ``[x1, y1, x2, y2, ...]``, clockwise as one sees them, only corners.

    Example:
        >>> import torch
        >>> from fastcv.results._rle import outlines
        >>> outlines(torch.tensor([[True, False], [False, True]]))
        [[0, 0, 1, 0, 1, 1, 0, 1], [1, 1, 2, 1, 2, 2, 1, 2]]
    """
    ways = _edges(mask)
    polygons = []
    while ways:
        start = next(iter(ways))
        loop = _follow(ways, start)
        x, y = np.array(loop).T
        if np.dot(x, np.roll(y, -1)) > np.dot(y, np.roll(x, -1)):  # else it is about a hole
            polygons.append([int(v) for corner in loop for v in corner])
    return polygons


Corner = tuple[int, int]


def _edges(mask: Tensor) -> dict[Corner, list[Corner]]:
    """From each corner of a pixel the steps along borders, with the mask on the right."""
    inside = np.pad(mask.detach().cpu().numpy().astype(bool), 1)
    here = inside[1:-1, 1:-1]
    ways: dict[Corner, list[Corner]] = {}
    for beside, begin, step in (
        (inside[:-2, 1:-1], (0, 0), (1, 0)),  # above: to the right along the upper edge
        (inside[1:-1, 2:], (1, 0), (0, 1)),
        (inside[2:, 1:-1], (1, 1), (-1, 0)),
        (inside[1:-1, :-2], (0, 1), (0, -1)),
    ):
        for y, x in np.argwhere(here & ~beside).tolist():
            ways.setdefault((x + begin[0], y + begin[1]), []).append(step)
    return ways


def _follow(ways: dict[Corner, list[Corner]], start: Corner) -> list[Corner]:
    """One loop, taken out of ``ways``; its corners, without those in the middle of a side."""
    at, last = start, (0, 0)
    corners: list[Corner] = []
    while not corners or at != start:
        steps = ways[at]
        # Where two parts touch at a corner, the turn to the right stays with this one.
        right = (-last[1], last[0])
        step = right if right in steps else steps[0]
        steps.remove(step)
        if not steps:
            del ways[at]
        if step != last:
            corners.append(at)
        at, last = (at[0] + step[0], at[1] + step[1]), step
    return corners
