"""Proposals that a detector is given: what they must be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor


def check_proposals(proposals: Sequence[Tensor], images: int) -> None:
    """Raises where they are not boxes ``[N, 4]`` for each image.

    Raises:
        ValueError: one sentence with the image's index.
    """
    if len(proposals) != images:
        raise ValueError(
            f"proposals must have one entry for each image, got {len(proposals)} for {images}"
        )
    for i, boxes in enumerate(proposals):
        if not isinstance(boxes, Tensor) or boxes.dim() != 2 or boxes.shape[1] != 4:
            got = list(boxes.shape) if isinstance(boxes, Tensor) else type(boxes).__name__
            raise ValueError(f"proposals[{i}] must be a tensor [N, 4], got {got}")


def proposals_of_targets(targets: Sequence[Mapping[str, Any]]) -> list[Tensor]:
    """The targets' ``proposals``.

    Raises:
        ValueError: a target has none.
    """
    for i, target in enumerate(targets):
        if "proposals" not in target:
            raise ValueError(
                f"targets[{i}] must have 'proposals', has {sorted(target)}: wrap the dataset in "
                "fastcv.data.WithProposals"
            )
    return [target["proposals"] for target in targets]
