"""What the recipes of this chapter share: scenes of one digit, and whether a map finds it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from fastcv.data import DrawnDigits
from fastcv.explain import boxes_of_maps
from fastcv.models._mode import evaluating
from fastcv.models.classification._classifier import Classifier
from fastcv.models.classification._with_class_maps import WithClassMaps
from fastcv.ops import box_iou

SIDE = 32  # pixels of a scene, along a side
DIGIT_SIZE = (15.0, 21.0)
MAX_ANGLE = 15.0


class OneDigitScenes(Dataset[tuple[Tensor, int]]):
    """``DrawnDigits`` of one digit on a photograph, and which digit it is; the boxes beside.

    Splits share neither handwriting nor photographs.

    Args:
        split: ``"train"`` or ``"test"``.
        length: how many are drawn.

    Attributes:
        images: ``[N, 3, 32, 32]`` in [0, 1].
        labels: ``[N]``, the digits.
        boxes: ``[N, 4]``, which a classifier is never told.
    """

    classes = tuple("0123456789")

    def __init__(self, split: str, length: int) -> None:
        scenes = DrawnDigits(
            split,
            size=(SIDE, SIDE),
            length=length,
            max_digits=1,
            digit_size=DIGIT_SIZE,
            max_angle=MAX_ANGLE,
        )
        drawn = [scenes[i] for i in range(length)]
        found = [scene for scene in drawn if len(scene[1]["labels"]) == 1]
        self.images = torch.stack([image for image, _ in found])
        self.labels = torch.cat([target["labels"] - 1 for _, target in found])
        self.boxes = torch.cat([target["boxes"] for _, target in found])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], int(self.labels[index])


def sized_for_scenes(model: Classifier) -> None:
    """Names the classes, and lets ``predict`` keep a scene's pixels."""
    model.classes = OneDigitScenes.classes
    model.preprocessing = {**model.preprocessing, "resize": SIDE, "crop": SIDE}


def maps_of_true_classes(model: WithClassMaps, scenes: OneDigitScenes) -> Tensor:
    """``[N, h, w]``: of each scene the map of its digit."""
    device = next(model.parameters()).device
    found = []
    with evaluating(model), torch.inference_mode():
        for images, labels in zip(
            *(torch.split(part, 100) for part in (scenes.images, scenes.labels)), strict=True
        ):
            maps = model.class_maps(model.prepare(list(images.to(device)))).cpu()
            found.append(maps[torch.arange(len(labels)), labels])
    return torch.cat(found)


def to_pixels(maps: Tensor) -> Tensor:
    """Maps ``[N, h, w]`` as ``[N, 32, 32]``."""
    return F.interpolate(maps[:, None], (SIDE, SIDE), mode="bilinear")[:, 0]


def plateaus(maps: Tensor) -> Tensor:
    """``[N, 2]``: where maps ``[N, H, W]`` are highest or nearly so, as (x, y) in their pixels.

    It is the middle of the box around the largest area within 1 % of the maximum: a SCOUTER's
    attention comes near 1 in several cells, and which of them is highest is left to rounding.
    """
    boxes = boxes_of_maps(maps, 0.99)
    return (boxes[:, :2] + boxes[:, 2:]) / 2


def share_hit(found: Tensor, boxes: Tensor) -> float:
    """The share of boxes ``[N, 4]`` whose IoU with the true ones is above a half.

    Example:
        >>> boxes = torch.tensor([[0.0, 0, 4, 4], [0, 0, 4, 4]])
        >>> share_hit(torch.tensor([[0.0, 0, 4, 3], [2, 2, 6, 6]]), boxes)
        0.5
    """
    iou = torch.diagonal(box_iou(found, boxes.to(found)))
    return (iou > 0.5).float().mean().item()


def of_centre(scenes: Any) -> Tensor:
    """For each scene the same box in its middle: as large as the boxes of all are on average."""
    width, height = (scenes.boxes[:, 2:] - scenes.boxes[:, :2]).mean(dim=0).tolist()
    x, y = (SIDE - width) / 2, (SIDE - height) / 2
    return torch.tensor([[x, y, x + width, y + height]]).expand(len(scenes), 4)
