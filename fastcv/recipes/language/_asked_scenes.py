"""Drawn scenes with several questions about each, in memory."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv.data import DrawnScenes, SceneQuestions
from fastcv.data.drawn_scenes import Scene
from fastcv.learn import QuestionBatches
from fastcv.learn.schedules import adamw, one_cycle
from fastcv.metrics import modality_share

SIDE = 64  # pixels
ASKED = 6  # questions about each picture
# Of the recipes' model, whose file is under 400 kB.
SMALL: dict[str, Any] = {
    "image_encoder": "small",
    "image_size": SIDE,
    "width": 16,
    "features": 256,
    "embedding_size": 32,
    "hidden_size": 48,
    "common_size": 160,
    "dropout": 0.1,
    "normalise": False,
}


class AskedScenes(Dataset[tuple[Tensor, tuple[str, ...], tuple[str, ...]]]):
    """Items ``(image, questions, answers)``: ``[3, 64, 64]`` uint8, and six texts each.

    Args:
        split: of ``DrawnScenes``.
        length: how many scenes.
        leak: of ``SceneQuestions``.
    """

    def __init__(self, split: str, length: int, leak: float = 0.0) -> None:
        self.images, targets = _drawn(split, length)
        self.scenes: list[Scene] = [target["scene"] for target in targets]
        scenes = DrawnScenes(split)
        sets = [SceneQuestions(scenes, leak=leak, seed=seed) for seed in range(ASKED)]
        self.asked = [[questions.asked(target) for questions in sets] for target in targets]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """All questions with their answers."""
        return [pair for of_one in self.asked for pair in of_one]

    def __len__(self) -> int:
        return len(self.asked)

    def __getitem__(self, index: int) -> tuple[Tensor, tuple[str, ...], tuple[str, ...]]:
        questions, answers = zip(*self.asked[index], strict=True)
        return self.images[index], questions, answers


@cache  # several sets of questions are about the same scenes
def _drawn(split: str, length: int) -> tuple[Tensor, list[dict[str, Any]]]:
    scenes = DrawnScenes(split, size=(SIDE, SIDE), length=length)
    images = torch.empty(length, 3, SIDE, SIDE, dtype=torch.uint8)
    targets = []
    for i in range(length):
        image, target = scenes[i]
        images[i] = image.mul(255).round()
        targets.append({key: target[key] for key in ("scene", "image_id")})
    return images, targets


def answerer(model: Any, device: str, *, lr: float = 4e-3) -> dict[str, Any]:
    """The schedule: 32 pictures in a step, with all questions about them."""
    return {
        "batch_size": 32,
        "optimizer": partial(adamw, lr=lr),
        "scheduler": one_cycle(0.2),
        "collate_fn": QuestionBatches(model),
    }


def measure(model: Any, test: Any) -> dict[str, float]:
    """Accuracy, and what is left of it where pictures, or questions, are permuted."""
    found = modality_share(model, test)
    return {
        "accuracy": found["accuracy"],
        "other pictures": found["permuted"]["image"],
        "other questions": found["permuted"]["question"],
    }
