"""Masks of one's own: COCO's layout for models of instances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastcv.learn.own_data import boxes
from fastcv.learn.own_data._pictures import Annotated
from fastcv.results import Instances

AUGMENT = boxes.AUGMENT
KEPT = (*boxes.KEPT, "masks")
config = boxes.config


def coco(images: str, annotations: str, classes: Sequence[str] | None = None) -> Annotated:
    """Pictures, boxes and masks in COCO's format; arguments and errors as of ``boxes.coco``."""
    return boxes.coco(images, annotations, classes, masks=True)


def examples(model: Any, found: Annotated, augment: str, size: int | None) -> boxes.Examples:
    """What the model learns from; its own transform brings pictures to their size."""
    return boxes.Examples(found.data, augment, KEPT)


def truth(image: Tensor, target: dict[str, Any], classes: Sequence[str]) -> Instances:
    """A target as a result."""
    scores = torch.ones(len(target["boxes"]))
    size = (image.shape[1], image.shape[2])
    return Instances(
        target["boxes"], scores, target["labels"], tuple(classes), size, masks=target["masks"]
    )
