"""A CNN that learns what is on drawn scenes before any question is asked."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.data.drawn_scenes import COLOURS, DIGITS, Scene
from fastcv.data.scene_text import TAGS, tags
from fastcv.models.language._question_batch import prepared
from fastcv.models.language.vqa import VQALSTMCNN
from fastcv.recipes.language._asked_scenes import AskedScenes

PAIRS = tuple(f"{colour} {digit}" for digit in DIGITS for colour in COLOURS)
LABELS = (*TAGS, *PAIRS, "1", "2", "3")  # the last are how many digits there are


def labels_of(scene: Scene) -> Tensor:
    """Which of ``LABELS`` a scene has, as ``[87]`` of 0 and 1."""
    own = {*tags(scene), *map(str, scene.digits), str(len(scene.digits))}
    return torch.tensor([float(label in own) for label in LABELS])


class TagReader(nn.Module):
    """A question answerer's CNN with a logit for each of ``LABELS``.

    Args:
        model: whose CNN it is.
    """

    def __init__(self, model: VQALSTMCNN) -> None:
        super().__init__()
        self.encoder = model.image_encoder
        self.tags = nn.Linear(model.image_projection.in_features, len(LABELS))
        self.preprocessing = model.preprocessing

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, 87]`` of prepared images."""
        logits: Tensor = self.tags(self.encoder(images))
        return logits

    def loss(self, output: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The cross-entropies of all labels, their sum, the mean over images."""
        summed = F.binary_cross_entropy_with_logits(output, targets, reduction="sum")
        return {"tags": summed / len(output)}

    def collate(self, items: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """A batch of ``SceneLabels``."""
        images, labels = zip(*items, strict=True)
        return prepared(images, self.preprocessing, torch.float32), torch.stack(labels)


class SceneLabels(torch.utils.data.Dataset[tuple[Tensor, Tensor]]):
    """Pictures of ``AskedScenes`` with their labels, for ``TagReader``."""

    def __init__(self, scenes: AskedScenes) -> None:
        self.images = scenes.images
        self.labels = [labels_of(scene) for scene in scenes.scenes]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.images[index], self.labels[index]
