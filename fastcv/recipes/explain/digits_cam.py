"""CAM: a small VGG learns which digit is in a scene; made a CAM and trained on, it shows where.

Nobody tells it where: boxes around the largest bright part of the true digit's map are compared
with the true ones, beside a box in the middle of the scene, which knows the size of digits alone.

A run has ``vgg/model.safetensors`` and ``cam/model.safetensors``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from fastcv.explain import boxes_of_maps, pointing_game
from fastcv.explain.faithfulness import highest_pixels
from fastcv.metrics import evaluate_classifier
from fastcv.models.classification._classifier import Classifier
from fastcv.models.classification.cam import CAM, to_cam
from fastcv.recipes._recipe import NO_WEIGHTS, Level, Recipe, Run
from fastcv.recipes.explain._scenes import (
    SIDE,
    OneDigitScenes,
    maps_of_true_classes,
    of_centre,
    share_hit,
    sized_for_scenes,
    to_pixels,
)
from fastcv.recipes.learn._small import small_classifier

WIDTHS = (12, 24, 48)
CHANNELS = 48  # of the CAM's maps
CAM_EPOCHS = 4
# Of the map's maximum, above which a box lies: the paper's, whose objects were large beside a
# cell's field of view, and the one that ``best_share`` finds on the training scenes.
PAPER, CHOSEN = 0.2, 0.5
SHARES = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)  # to choose from


class SmallVGG(Classifier):
    """Three stages of two 3x3 convolutions with norms, a pool after each, two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = 3
        for width in WIDTHS:
            for _ in range(2):
                layers.append(nn.Conv2d(inputs, width, 3, padding=1, bias=False))
                layers += [nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
                inputs = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Linear(inputs * (SIDE // 8) ** 2, 128),
            nn.ReLU(inplace=True),
            nn.Linear(128, len(OneDigitScenes.classes)),
        )
        sized_for_scenes(self)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, 10]`` of normalised images ``[B, 3, 32, 32]``."""
        return self.classifier(self.features(images).flatten(1))


def build() -> CAM:
    """The CAM, with random weights."""
    return to_cam(SmallVGG(), channels=CHANNELS)


def before_and_after(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Trains the VGG, makes it a CAM, trains that."""
    scenes, test = recipe.data["train"](), recipe.data["test"]()
    torch.manual_seed(run.seed)
    vgg = SmallVGG()
    run.fit(vgg, scenes, "vgg", **recipe.schedule(vgg, run.device))
    cam = to_cam(vgg, channels=CHANNELS)
    run.fit(cam, scenes, "cam", epochs=CAM_EPOCHS, **recipe.schedule(cam, run.device))
    found = {"VGG acc@1": evaluate_classifier(vgg, test)["acc@1"]}
    return found | {"best share": best_share(cam, scenes)} | recipe.metrics(cam, test)


def best_share(model: CAM, scenes: OneDigitScenes) -> float:
    """The share of the maximum above which most boxes hit: for training scenes, not the test's."""
    maps = to_pixels(maps_of_true_classes(model, scenes))
    hits = {share: share_hit(boxes_of_maps(maps, share), scenes.boxes) for share in SHARES}
    return max(hits, key=lambda share: hits[share])


def where(model: CAM, scenes: OneDigitScenes) -> dict[str, Any]:
    """The accuracy, and how well the true digits' maps tell where these are."""
    maps = to_pixels(maps_of_true_classes(model, scenes))
    return {
        "acc@1": evaluate_classifier(model, scenes)["acc@1"],
        **{
            f"boxes above {share:.0%} hit": share_hit(boxes_of_maps(maps, share), scenes.boxes)
            for share in (PAPER, CHOSEN)
        },
        "centre boxes hit": share_hit(of_centre(scenes), scenes.boxes),
        "pointing": pointing_game(highest_pixels(maps), scenes.boxes),
    }


RECIPE = Recipe(
    name="digits_cam",
    summary="a small VGG on scenes of a digit, then as a CAM: where the digits are",
    data={
        "train": partial(OneDigitScenes, "train", 3000),
        "test": partial(OneDigitScenes, "test", 500),
    },
    build=build,
    epochs=8,
    schedule=partial(small_classifier, lr=3e-3, batch_size=32),
    metrics=where,
    level=Level(
        {
            "VGG acc@1": 0.638,
            "best share": 0.5,
            "acc@1": 0.758,
            "boxes above 20% hit": 0.386,
            "boxes above 50% hit": 0.724,
            "centre boxes hit": 0.098,
            "pointing": 0.914,
        },
        "500 scenes of other handwriting on other photographs",
        "seed 0, one run",
        "2026-11-30",
    ),
    stages=before_and_after,
    no_weights=NO_WEIGHTS.format("cam/model.safetensors") + " as weights",
)
train, evaluate = RECIPE.train, RECIPE.evaluate
