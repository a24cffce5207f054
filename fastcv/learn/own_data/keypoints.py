"""Keypoints of one's own: COCO's layout for detectors of keypoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from fastcv.classes.keypoints import COCO_KEYPOINTS, KeypointSchema, keypoint_schema
from fastcv.learn.own_data import boxes
from fastcv.learn.own_data._pictures import Annotated
from fastcv.models.landmarks._keypoint_detector import KeypointDetector
from fastcv.results import Keypoints

AUGMENT = boxes.AUGMENT
KEPT = (*boxes.KEPT, "keypoints")
SIDES = ("left", "right")
config = boxes.config


def coco(images: str, annotations: str, classes: Sequence[str] | None = None) -> Annotated:
    """Pictures, boxes and keypoints in COCO's format; arguments as of ``boxes.coco``.

    Raises:
        FileNotFoundError: as of ``boxes.coco``.
        ValueError: as of ``boxes.coco``; or no category has keypoints, or they have different ones.
    """
    found = boxes.coco(images, annotations, classes, keypoints=True)
    names = found.config["keypoints"]
    if not names:
        raise ValueError(f'{annotations} has no keypoints: no category lists its "keypoints"')
    return replace(found, config={"keypoints": schema_of(names).to_dict()})


def schema_of(names: Sequence[str]) -> KeypointSchema:
    """COCO's where these are its names; else names that only differ in their side are mirrored.

    Example:
        >>> from fastcv.learn.own_data.keypoints import schema_of
        >>> schema_of(["left_wing", "right_wing", "beak"]).flips
        (('left_wing', 'right_wing'),)
    """
    if tuple(names) == tuple(COCO_KEYPOINTS.names):
        return COCO_KEYPOINTS
    pairs = [(name, name.replace(*SIDES)) for name in names if SIDES[0] in name]
    return KeypointSchema(names, flips=[pair for pair in pairs if pair[1] in names])


def examples(
    model: KeypointDetector, found: Annotated, augment: str, size: int | None
) -> boxes.Examples:
    """What the model learns from; its own transform brings pictures to their size."""
    return boxes.Examples(found.data, augment, KEPT, model.schema.flip_order)


def truth(image: Tensor, target: dict[str, Any], classes: Sequence[str]) -> Keypoints:
    """A target as a result."""
    keypoints = target["keypoints"]
    return Keypoints(
        target["boxes"],
        torch.ones(len(keypoints)),
        target["labels"],
        tuple(classes),
        (image.shape[1], image.shape[2]),
        keypoints=keypoints,
        keypoint_scores=keypoints[..., 2],
        schema=keypoint_schema(keypoints.shape[1]),
    )
