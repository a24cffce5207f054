"""Trunks of small captioners learn to classify first, as those of the papers did on ImageNet."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from fastcv.data import DrawnScenes
from fastcv.learn.schedules import adamw, fastest_precision, one_cycle
from fastcv.models.language._captioner import Captioner, as_squares
from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.recipes._recipe import Recipe, Run

KINDS = (10, 6, 8)  # digits, colours, backgrounds
LENGTH, EPOCHS = 6000, 4


class OneDigitScenes(Dataset[tuple[Tensor, Tensor]]):
    """Drawn scenes of one digit, and which digit, colour and background it is, ``[3]`` int64.

    Args:
        length: how many.
        side: of the pictures, in pixels.
    """

    def __init__(self, length: int, side: int) -> None:
        # Other scenes than those with captions.
        scenes = DrawnScenes("train", size=(side, side), length=length, max_digits=1, seed=1)
        self.images = torch.empty(length, 3, side, side, dtype=torch.uint8)
        self.labels = torch.empty(length, 3, dtype=torch.int64)
        for i, (image, labels) in enumerate(zip(self.images, self.labels, strict=True)):
            drawn, target = scenes[i]
            image.copy_((drawn * 255).round())
            labels[0], labels[1] = target["labels"][0] - 1, target["colours"][0]
            labels[2] = target["background"]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index] / 255, self.labels[index]


class SceneClassifier(nn.Module):
    """A trunk, the mean over its last map, and a linear layer for each of the three kinds.

    Args:
        trunk: shared, not copied.
        preprocessing: of the pictures.
    """

    def __init__(self, trunk: ResNetTrunk, preprocessing: Any) -> None:
        super().__init__()
        self.trunk, self.preprocessing = trunk, preprocessing
        self.heads = nn.ModuleList(nn.Linear(trunk.out_channels[-1], kinds) for kinds in KINDS)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Logits ``[B, 10]``, ``[B, 6]`` and ``[B, 8]`` of images ``[B, 3, H, W]`` in [0, 1]."""
        features = self.trunk(as_squares(list(images), self.preprocessing))[-1].mean(dim=(2, 3))
        return [head(features) for head in self.heads]

    def loss(self, output: list[Tensor], targets: Tensor) -> dict[str, Tensor]:
        """A cross-entropy for each kind."""
        kinds = zip(("digit", "colour", "background"), output, targets.unbind(1), strict=True)
        return {name: F.cross_entropy(logits.float(), labels) for name, logits, labels in kinds}


def trunk_first(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Trains the trunk on scenes of one digit, then all of the model on captions, and measures.

    A run has the first stage in ``trunk/``.
    """
    torch.manual_seed(run.seed)
    model: Any = recipe.build()
    learn_to_classify(model, trunk_of(model), run)
    recipe.fit(model, run)
    return recipe.keep(model, run)


def trunk_of(model: Any) -> ResNetTrunk:
    """The ResNet of a captioner."""
    (trunk,) = (part for part in model.modules() if isinstance(part, ResNetTrunk))
    return trunk


def learn_to_classify(model: Captioner, trunk: ResNetTrunk, run: Run) -> None:
    """Trains the trunk in place; a run that was stopped goes on."""
    run.fit(
        SceneClassifier(trunk, model.preprocessing).to(memory_format=torch.channels_last),
        OneDigitScenes(LENGTH, model.preprocessing["size"]),
        "trunk",
        epochs=EPOCHS,
        batch_size=32,
        optimizer=partial(adamw, lr=4e-3),
        scheduler=one_cycle(0.2),
        precision=fastest_precision(run.device),
    )
