"""COCO's run lengths, as the ops that encode masks return them."""

from __future__ import annotations

from typing import Any

from torch import Tensor


def run_lengths(counts: Tensor, ends: Tensor, height: int, width: int) -> list[dict[str, Any]]:
    """A dict for each mask, as of ``pycocotools.mask.encode``.

    Args:
        counts: ``[bytes]`` uint8, the counts of all masks.
        ends: ``[N]`` int64, where in ``counts`` those of each mask end.
        height, width: of the masks.
    """
    text, begin, encoded = counts.numpy().tobytes(), 0, []
    for end in ends.tolist():
        encoded.append({"size": [height, width], "counts": text[begin:end]})
        begin = end
    return encoded
