"""Questions about drawn scenes."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv.data import DrawnScenes, SceneQuestions

SIDE = 64  # pixels
ASKED = 5  # questions about each picture


class AskedScenes(Dataset[tuple[Tensor, tuple[str, ...], tuple[str, ...]]]):
    """Scenes in memory, with several questions about each: ``(image, questions, answers)``.

    Args:
        split: of ``DrawnScenes``.
        length: how many scenes.
        leak: of ``SceneQuestions``.
    """

    def __init__(self, split: str, length: int, leak: float = 0.0) -> None:
        scenes = DrawnScenes(split, size=(SIDE, SIDE), length=length)
        sets = [SceneQuestions(scenes, leak=leak, seed=seed) for seed in range(ASKED)]
        self.images = torch.empty(length, 3, SIDE, SIDE, dtype=torch.uint8)
        self.asked = []
        for i in range(length):
            image, target = scenes[i]
            self.images[i] = image.mul(255).round()
            self.asked.append(tuple(zip(*(s.asked(target) for s in sets), strict=True)))

    def __len__(self) -> int:
        return len(self.asked)

    def __getitem__(self, index: int) -> tuple[Tensor, tuple[str, ...], tuple[str, ...]]:
        questions, answers = self.asked[index]
        return self.images[index], questions, answers
