"""Maps of segments' ids: what may be in them, and the pixels of each id."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from fastcv.ops import panoptic_counts


def check_map(segment_map: Tensor) -> None:
    shape = list(segment_map.shape)
    if len(shape) != 2 or 0 in shape:
        raise ValueError(f"segment_map must be [H, W], got {shape}")
    if segment_map.dtype != torch.int32:
        raise TypeError(f"segment_map must be int32, got {segment_map.dtype}")
    min_id = int(segment_map.min())
    if min_id < 0:
        raise ValueError(f"ids must be 0, void, or more, got {min_id}")


def areas_of(segment_map: Tensor) -> dict[int, int]:
    """The pixels of each id, without void."""
    # Much faster than torch's unique: it looks for runs of pixels, and sorts none.
    pairs, counts = panoptic_counts(segment_map, segment_map)
    areas = dict(zip(pairs[:, 0].tolist(), counts.tolist(), strict=True))
    areas.pop(0, None)
    return areas


def check_known(areas: Mapping[int, int], known: Collection[int]) -> None:
    for id in areas:
        if id not in known:
            raise ValueError(f"the map has the id {id}, which no segment has")
