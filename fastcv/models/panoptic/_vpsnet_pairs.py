"""What VPSNet learns from a pair of frames: which objects are the same, and what moved where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.nn.detection.transform import ImageBatch
from fastcv.ops import box_iou

TRACKED = 64  # proposals of an image in the track head's loss, beside the objects' own boxes
MATCH_IOU = 0.5  # with its object, of such a proposal


def near_objects(proposals: Tensor, objects: Tensor) -> tuple[Tensor, Tensor]:
    """The objects' boxes and the first proposals that overlap one, and which object each has.

    Args:
        proposals: ``[K, 4]`` of an image.
        objects: ``[N, 4]``.
    """
    numbers = torch.arange(len(objects), device=objects.device)
    if not len(objects):
        return objects, numbers
    overlap, nearest = box_iou(proposals, objects).max(dim=1)
    near = (overlap >= MATCH_IOU).nonzero()[:TRACKED, 0]
    return torch.cat([objects, proposals[near]]), torch.cat([numbers, nearest[near]])


def places(ids: Tensor, earlier: Tensor) -> Tensor:
    """``[N]``: where in ``earlier`` ``[M]`` each of ``ids`` is, -1 for one that is not there."""
    places = torch.full_like(ids, -1, dtype=torch.int64)
    row, column = (ids[:, None] == earlier).nonzero(as_tuple=True)
    places[row] = column
    return places


def flow_loss(
    flow: Tensor, batch: ImageBatch, targets: Sequence[dict[str, Any]], *, stride: int
) -> Tensor:
    """The mean distance between found and true flows, in pixels of the finest level.

    Args:
        flow: ``[B, 2, H / stride, W / stride]``, found.
        batch: the later frames.
        targets: for each image ``flow`` ``[2, h, w]`` in its pixels.
        stride: of the finest level.

    Raises:
        ValueError: a target without such a flow.
    """
    costs = []
    for i, (target, old, new) in enumerate(
        zip(targets, batch.original_sizes, batch.sizes, strict=True)
    ):
        given = target.get("flow")
        if not isinstance(given, Tensor) or list(given.shape) != [2, *old]:
            got = list(given.shape) if isinstance(given, Tensor) else type(given).__name__
            raise ValueError(
                f"targets[{i}]: flow must be a tensor [2, {old[0]}, {old[1]}], got {got}"
            )
        small = (new[0] // stride, new[1] // stride)
        found = flow[i, :, : small[0], : small[1]]
        scale = found.new_tensor([small[1] / old[1], small[0] / old[0]])[:, None, None]
        true = F.interpolate(given[None].to(found), small, mode="area")[0] * scale
        costs.append(torch.linalg.vector_norm(found - true, dim=0).mean())
    return torch.stack(costs).mean()


def check_pairs(targets: Sequence[dict[str, Any]]) -> None:
    """Whether targets say which objects the earlier frame has.

    Raises:
        ValueError: one does not; the sentence names the image.
    """
    for i, target in enumerate(targets):
        there = len(target.get("earlier_ids", ()))
        for name, shape in (
            ("ids", [len(target["boxes"])]),
            ("earlier_ids", [there]),
            ("earlier_boxes", [there, 4]),
        ):
            value = target.get(name)
            if not isinstance(value, Tensor) or list(value.shape) != shape:
                got = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
                raise ValueError(f"targets[{i}]: {name} must be a tensor {shape}, got {got}")
