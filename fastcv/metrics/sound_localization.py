"""Whether maps of sound sources are where people say that they are: cIoU and its AUC."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

CONSENSUS = 2  # of three annotators
SUCCESS = 0.5  # a picture with a greater cIoU is a success
STEPS = 21  # thresholds from 0 to 1 of the curve


def consensus_map(annotations: Tensor, consensus: int = CONSENSUS) -> Tensor:
    """How sure annotators are of each pixel: ``min(votes / consensus, 1)``.

    Args:
        annotations: ``[A, H, W]`` bool, each annotator's region.
        consensus: how many votes make a pixel sure.

    Returns:
        ``[H, W]`` float32 in [0, 1].

    Raises:
        ValueError: annotations of another shape or dtype, or a consensus below 1.

    Source: Senocak et al., "Learning to Localize Sound Source in Visual Scenes" (2018), section 4.

    Example:
        >>> import torch
        >>> from fastcv.metrics import consensus_map
        >>> votes = torch.tensor([[[1, 1, 0]], [[1, 0, 0]], [[1, 0, 0]]]).bool()
        >>> consensus_map(votes)
        tensor([[1.0000, 0.5000, 0.0000]])
    """
    if annotations.ndim != 3 or annotations.dtype != torch.bool:
        raise ValueError(
            f"annotations must be bool [A, H, W], got {annotations.dtype} {list(annotations.shape)}"
        )
    if consensus < 1:
        raise ValueError(f"consensus must be at least 1, got {consensus}")
    return (annotations.sum(dim=0) / consensus).clamp(max=1)


def consensus_iou(scores: Tensor, truth: Tensor, threshold: float = 0.5) -> float:
    """The consensus intersection over union of one map.

    What the map finds is where it is above ``threshold`` of the way from its least to its greatest
    value; a flat map finds nothing. ``cIoU = sum of truth in it / (sum of truth + pixels of it
    where truth is 0)``.

    Args:
        scores: ``[H, W]``, at the truth's size.
        truth: ``[H, W]`` in [0, 1], as ``consensus_map`` makes it.
        threshold: in [0, 1).

    Raises:
        ValueError: two shapes, a truth of zeros, or a threshold out of its range.

    Source: Senocak et al., "Learning to Localize Sound Source in Visual Scenes" (2018), section 4.

    Example:
        >>> import torch
        >>> from fastcv.metrics import consensus_iou
        >>> consensus_iou(torch.tensor([[0.9, 0.8, 0.7, 0.1]]), torch.tensor([[1, 0.5, 0, 0]]))
        0.6
    """
    if scores.ndim != 2 or scores.shape != truth.shape:
        raise ValueError(
            f"scores and truth must be [H, W] of one size, got {list(scores.shape)} and "
            f"{list(truth.shape)}"
        )
    if not 0 <= threshold < 1:
        raise ValueError(f"threshold must be in [0, 1), got {threshold}")
    truth = truth.to(scores.device, torch.float64)
    if not bool((truth > 0).any()):
        raise ValueError("truth must have a source, and is 0 everywhere")
    scores = scores.to(torch.float64)
    low, high = scores.min(), scores.max()
    found = scores - low > threshold * (high - low)
    beside = (found & (truth == 0)).sum()
    return float(truth[found].sum() / (truth.sum() + beside))


def sound_localization_metrics(
    maps: Iterable[Tensor], truths: Sequence[Tensor], *, threshold: float = 0.5
) -> dict[str, float]:
    """How many maps are right, and how right they are.

    Args:
        maps: a map ``[H, W]`` for each picture, at its truth's size.
        truths: ``[H, W]`` each, as ``consensus_map`` makes them.
        threshold: of each map, as for ``consensus_iou``.

    Returns:
        ``cIoU@.5``: the share of pictures with a cIoU above .5. ``AUC``: the area under the curve
        of that share over cIoU's threshold, from 0 to 1 in 21 steps, by the trapezoid rule.

    Raises:
        ValueError: another number of truths than of maps, none at all, or as ``consensus_iou``.

    Source: Senocak et al., "Learning to Localize Sound Source in Visual Scenes" (2018), section 4.

    Example:
        >>> import torch
        >>> from fastcv.metrics import sound_localization_metrics
        >>> left, right = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]])
        >>> found = sound_localization_metrics([left, left], [left, right])
        >>> {name: round(value, 4) for name, value in found.items()}
        {'cIoU@.5': 0.5, 'AUC': 0.4875}
    """
    maps = list(maps)
    if not maps or len(maps) != len(truths):
        raise ValueError(
            f"there must be a truth for each map, and one or more: got {len(maps)} maps and "
            f"{len(truths)} truths"
        )
    overlaps = torch.tensor(
        [consensus_iou(m, t, threshold) for m, t in zip(maps, truths, strict=True)],
        dtype=torch.float64,
    )
    steps = torch.linspace(0, 1, STEPS, dtype=torch.float64)
    curve = (overlaps[:, None] > steps).double().mean(dim=0)
    return {
        "cIoU@.5": float((overlaps > SUCCESS).double().mean()),
        "AUC": float(torch.trapezoid(curve, steps)),
    }
