"""A small DETR that finds handwritten digits on photographs.

The ResNet's last stage is dilated (12 x 12 cells). There are two encoder and three decoder layers
of 128 channels, and 20 queries. As in the paper the trunk learns to classify first, here on 96000
pictures of one digit, and its norms stay as they are then. 8000 scenes train all.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fastcv.data import DrawnDigits
from fastcv.learn.schedules import adamw
from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.nn.detection.transform import DetectionTransform
from fastcv.recipes._recipe import Recipe, Run
from fastcv.recipes.detection._digits import (
    DIGITS,
    digits_model,
    digits_recipe,
    reached,
    small_detector,
)
from fastcv.recipes.detection._trunk_first import OneDigit, learn_to_classify

LR, LR_TRUNK = 2e-4, 1e-4  # 5e-4 diverged
BODY = "backbone.0.body"


class Trunk(nn.Module):
    """The detector's ResNet, with norms that learn."""

    def __init__(self) -> None:
        super().__init__()
        self.transform = DetectionTransform(64, 64)
        self.body = ResNetTrunk(18, width=32, replace_stride_with_dilation=(False, False, True))

    def forward(self, images: Tensor) -> Tensor:
        return self.body(self.transform(images).tensors)[-1]


def schedule(model: nn.Module, device: str) -> dict[str, Any]:
    """That of the other detectors, at the paper's two rates and its norm of the gradient."""
    groups = [
        {"params": [p for n, p in model.named_parameters() if "backbone" not in n], "lr": LR},
        {"params": list(model.get_submodule(BODY).parameters()), "lr": LR_TRUNK},
    ]
    return {**small_detector(model, device), "optimizer": lambda _: adamw(groups), "clip_norm": 0.1}


def trunk_first(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Train the trunk as a classifier, then all."""
    torch.manual_seed(run.seed)
    trunk, model = Trunk(), recipe.build()
    learn_to_classify(
        trunk, trunk.body.out_channels[-1], recipe.data["pictures"](), run, part="trunk"
    )
    model.get_submodule(BODY).load_state_dict(trunk.body.state_dict())
    recipe.fit(model, run)
    return recipe.keep(model, run)


RECIPE = digits_recipe(
    name="digits_detr",
    summary="DETR on a ResNet-18 of half the width that learned to classify first",
    data={
        **DIGITS,
        "pictures": partial(OneDigit, 96000, enlarge=1),
        "train": partial(DrawnDigits, "train", length=8000),
    },
    build=partial(
        digits_model,
        "detr_resnet18",
        dilated=True,
        frozen_norm=True,
        num_queries=20,
        width=32,
        channels=128,
        encoder_layers=2,
        decoder_layers=3,
        feedforward=256,
        dropout=0.0,
        min_size=192,
        max_size=320,
    ),
    epochs=9,
    schedule=schedule,
    level=reached(ap=0.361, ap50=0.773),
    stages=trunk_first,
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
