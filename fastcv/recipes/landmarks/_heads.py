"""Coordinates against heatmaps: one small backbone, two heads, and places that training lacks.

Pictures of 64 x 64 pixels show one digit. In training its middle is in the left half. The test has
digits there, and digits in the right half.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

from fastcv.classes import DIGIT_KEYPOINTS
from fastcv.data import DrawnDigits
from fastcv.learn.schedules import adamw, one_cycle
from fastcv.metrics import LandmarkMetrics
from fastcv.models.landmarks._keypoint_estimator import KeypointEstimator
from fastcv.nn.backbones.resnet import BasicBlock
from fastcv.nn.landmarks import CoordinateHead, HeatmapHead
from fastcv.recipes._recipe import Level, Recipe

SIDE = 64  # pixels
STRIDE = 4
WIDTH = 32
BLOCKS = 3
POINTS = len(DIGIT_KEYPOINTS)


class OneDigit(Dataset[tuple[Tensor, tuple[Tensor, Tensor]]]):
    """Pictures with one digit whose middle is in the left half, or in the right one.

    Args:
        split: ``"train"`` or ``"test"``.
        length: pictures that are drawn, of both halves.
        right: which half.
    """

    def __init__(self, split: str, length: int, right: bool) -> None:
        drawn = DrawnDigits(
            split, size=(SIDE, SIDE), length=length, max_digits=1, digit_size=(20, 28)
        )
        self.items = []
        for index in range(length):
            image, target = drawn[index]
            for box, keypoints in zip(target["boxes"], target["keypoints"], strict=True):
                if bool(box[0] + box[2] > SIDE) == right:
                    size = (box[2:] - box[:2]).amax()
                    self.items.append((image, (torch.tensor(1), keypoints), size))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        image, targets, _ = self.items[index]
        return image, targets


class SmallLandmarks(KeypointEstimator):
    """Residual blocks at a quarter of the size, and one of two heads.

    Args:
        head: ``CoordinateHead`` or ``HeatmapHead`` of as many channels.
    """

    schema, classes = DIGIT_KEYPOINTS, ("background", "digit")
    crop_size, stride = SIDE, STRIDE

    def __init__(self, head: CoordinateHead | HeatmapHead) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs in (3, WIDTH // 2):
            width = WIDTH // 2 if inputs == 3 else WIDTH
            layers += [nn.Conv2d(inputs, width, 3, stride=2, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
        self.backbone = nn.Sequential(*layers, *(BasicBlock(WIDTH, WIDTH) for _ in range(BLOCKS)))
        self.head = head

    def forward(self, crops: Tensor) -> Tensor:
        """What the head makes of pictures ``[N, 3, 64, 64]`` in [0, 1]."""
        return self.head(self.backbone(crops))

    def loss(self, output: Tensor, targets: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """That of the head; targets as of ``check_targets``."""
        keypoints = self.check_targets(len(output), targets)
        return {"landmarks": self.head.loss(output, self.cells(keypoints))}

    def read(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Points in cells, and scores."""
        return self.head.points(output)


def with_coordinates() -> SmallLandmarks:
    size = (SIDE // STRIDE, SIDE // STRIDE)
    return SmallLandmarks(CoordinateHead(WIDTH, POINTS, size))


def with_heatmaps() -> SmallLandmarks:
    return SmallLandmarks(HeatmapHead(WIDTH, POINTS))


def metrics(model: Any, halves: tuple[OneDigit, OneDigit]) -> dict[str, float]:
    """NME and PCK@.1 in the half that training had, and in the other one."""
    found: dict[str, float] = {}
    for name, data in zip(("seen", "unseen"), halves, strict=True):
        images, targets, sizes = zip(*data.items, strict=True)
        own = LandmarkMetrics(DIGIT_KEYPOINTS.names)
        results = model.predict(list(images), batch_size=16)
        points = torch.cat([result.keypoints[..., :2] for result in results])
        own.add(points, torch.stack([k for _, k in targets]), torch.stack(sizes))
        values = own.compute()
        found |= {f"nme_{name}": values["nme"], f"pck_{name}": values["pck"]}
    return found


def both_halves() -> tuple[OneDigit, OneDigit]:
    """Digits in places that training had, and in those that it had not."""
    return OneDigit("test", 400, right=False), OneDigit("test", 400, right=True)


def schedule(model: Any, device: str) -> dict[str, Any]:
    """AdamW, a short rise and a long way down."""
    return {"batch_size": 32, "optimizer": partial(adamw, lr=2e-3), "scheduler": one_cycle(0.1)}


def recipe(
    name: str,
    summary: str,
    build: Callable[[], SmallLandmarks],
    **reached: float,
) -> Recipe:
    """The recipe of one of the heads.

    Args:
        name: of the module.
        summary: one line.
        build: makes the model.
        reached: the metrics of one run.
    """
    return Recipe(
        name=name,
        summary=summary,
        data={"train": partial(OneDigit, "train", 4000, right=False), "test": both_halves},
        build=build,
        epochs=8,
        schedule=schedule,
        metrics=metrics,
        level=Level(
            reached,
            on="400 pictures of digits it never saw, in the left half (seen) and the right one",
            runs="seed 0, one run",
            date="2026-11-30",
        ),
    )
