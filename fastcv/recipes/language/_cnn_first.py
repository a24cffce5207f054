"""The CNN of a small joint embedding learns to classify first, as the paper's did on ImageNet."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from fastcv.data import DrawnScenes
from fastcv.learn.schedules import adamw, fastest_precision, one_cycle
from fastcv.recipes._recipe import Run
from fastcv.recipes.language._scene_texts import SIDE, normalised

KINDS = (10, 6, 8)  # digits, colours, backgrounds
LENGTH, EPOCHS = 4000, 8


class OneDigitScenes(Dataset[tuple[Tensor, Tensor]]):
    """Drawn scenes of one digit, and which digit, colour and background it is, ``[3]`` int64.

    They are other scenes than those with texts. A batch's images are normalised.

    Args:
        length: how many are drawn.
    """

    def __init__(self, length: int) -> None:
        scenes = DrawnScenes("train", size=(SIDE, SIDE), length=length, max_digits=1, seed=1)
        self.images = torch.empty(length, 3, SIDE, SIDE, dtype=torch.uint8)
        self.labels = torch.empty(length, 3, dtype=torch.int64)
        for i in range(length):
            image, target = scenes[i]
            self.images[i] = (image * 255).round().byte()
            self.labels[i, 0] = target["labels"][0] - 1
            self.labels[i, 1], self.labels[i, 2] = target["colours"][0], target["background"]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.labels[index]

    @staticmethod
    def collate(batch: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        images, labels = zip(*batch, strict=True)
        return normalised(torch.stack(images)), torch.stack(labels)


class SceneClassifier(nn.Module):
    """A CNN with a linear layer for each of the three kinds.

    Args:
        cnn: from images to features, shared and not copied.
        features: how many.
    """

    def __init__(self, cnn: nn.Module, features: int) -> None:
        super().__init__()
        self.cnn = cnn
        self.heads = nn.ModuleList(nn.Linear(features, kinds) for kinds in KINDS)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Logits ``[B, 10]``, ``[B, 6]`` and ``[B, 8]``."""
        features = self.cnn(images)
        return [head(features) for head in self.heads]

    def loss(self, output: list[Tensor], targets: Tensor) -> dict[str, Tensor]:
        """A cross-entropy for each kind."""
        kinds = zip(("digit", "colour", "background"), output, targets.unbind(1), strict=True)
        return {name: F.cross_entropy(logits.float(), labels) for name, logits, labels in kinds}


def learn_to_classify(model: Any, run: Run, length: int = LENGTH) -> None:
    """Trains the CNN in place, in the folder ``cnn/`` of the run."""
    run.fit(
        SceneClassifier(model.cnn, model.fc.in_features),
        OneDigitScenes(length),
        "cnn",
        epochs=EPOCHS,
        batch_size=32,
        optimizer=partial(adamw, lr=4e-3),
        scheduler=one_cycle(0.2),
        precision=fastest_precision(run.device),
    )
