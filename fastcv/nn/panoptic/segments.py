"""From panoptic logits to a map of segments."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from fastcv.nn.detection.roi_branch import Frame
from fastcv.nn.panoptic.targets import map_in_batch

VOID = 0  # the id of pixels of no segment


def segments_of(
    logits: Tensor | Iterable[Tensor],
    labels: Tensor,
    scores: Tensor,
    *,
    num_stuff: int,
    min_stuff_area: int,
    size: tuple[int, int],
) -> tuple[Tensor, dict[int, int], dict[int, float]]:
    """The segment that wins each pixel.

    Void is where the unknown class wins, where a logit is NaN, and where a stuff has few pixels.

    Args:
        logits: ``[num_stuff + N, h, w]``, or one more for the unknown class; or bands of rows of
            such, from the top to the bottom.
        labels: ``[N]`` int64, of the instances.
        scores: ``[N]``, of the instances.
        num_stuff: how many of the classes are stuff.
        min_stuff_area: stuff of fewer pixels is void.
        size: the picture's ``(H, W)``, in which areas are counted.

    Returns:
        - ``[H, W]`` int32 ids: label + 1 of a stuff, ``num_stuff + 1`` and up of the instances,
          0 of void;
        - labels by id;
        - scores by id, of the instances.

    Example:
        >>> import torch
        >>> from fastcv.nn.panoptic.segments import segments_of
        >>> stuff, thing, unknown = [2.0, 0, 0], [0, 3.0, 1], [1, 1, 2.0]
        >>> ids, labels, scores = segments_of(
        ...     torch.tensor([stuff, thing, unknown])[:, None], torch.tensor([4]),
        ...     torch.tensor([0.75]), num_stuff=1, min_stuff_area=0, size=(1, 3),
        ... )
        >>> ids, labels, scores
        (tensor([[1, 2, 0]], dtype=torch.int32), {1: 0, 2: 4}, {2: 0.75})
    """
    bands = [logits] if isinstance(logits, Tensor) else logits
    ids = torch.cat([_winners(band, num_stuff + len(labels)) for band in bands])
    if ids.shape != size:
        ids = map_in_batch(ids, Frame((ids.shape[0], ids.shape[1]), size), size)
    areas = ids.flatten().bincount(minlength=num_stuff + 1)[1 : num_stuff + 1]
    small = torch.zeros(num_stuff + len(labels) + 1, dtype=torch.bool, device=ids.device)
    small[1 : num_stuff + 1] = areas < min_stuff_area
    ids = ids.masked_fill(small[ids], VOID)
    label_of = {stuff + 1: stuff for stuff in range(num_stuff)}
    first = num_stuff + 1
    label_of |= {first + i: label for i, label in enumerate(labels.tolist())}
    score_of = {first + i: score for i, score in enumerate(scores.tolist())}
    return ids.int(), label_of, score_of


def _winners(logits: Tensor, known: int) -> Tensor:
    """``[h, w]``: 1 and up for the first ``known`` logits, 0 where another wins or one is NaN."""
    best, winner = logits.max(dim=0)
    return (winner + 1).masked_fill((winner >= known) | best.isnan(), VOID)
