"""Sounding digits in memory, as small recipes hear and see them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from fastcv.data import SoundingClip, SoundingDigits
from fastcv.models.audio.soundnet import SoundNet
from fastcv.recipes.learn._small import SmallImages

SIDE = 24  # pixels of a frame, along a side
FRAMES = 4


class ClipsInMemory(Dataset[tuple[SoundingClip, int]]):
    """Clips of one digit each that sounds: the frame in the middle, the sound, and the digit.

    Args:
        split: ``"train"`` or ``"test"``; they share neither handwriting nor ground.
        length: how many are drawn; those in which nothing sounds are left out.
        seed: as of ``SoundingDigits``.

    Attributes:
        frames: ``[N, 3, 24, 24]`` uint8.
        waves: ``[N, 16000]``.
        labels, places: ``[N]`` int64.
    """

    def __init__(self, split: str, length: int, seed: int = 0) -> None:
        clips = SoundingDigits(
            split,
            size=(SIDE, SIDE),
            frames=FRAMES,
            length=length,
            seed=seed,
            max_digits=1,
            digit_size=(14, 16),
            max_speed=3,
        )
        self.classes, self.scenes, self.rate = clips.classes, clips.places, clips.rate
        frames, waves, labels, places = [], [], [], []
        for index in range(length):
            clip, target = clips[index]
            if target["label"] >= 0:
                frames.append((clip.frames[FRAMES // 2] * 255).round().byte())
                waves.append(clip.waves)
                labels.append(target["label"])
                places.append(target["place"])
        self.frames, self.waves = torch.stack(frames), torch.stack(waves)
        self.labels, self.places = torch.stack(labels), torch.stack(places)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[SoundingClip, int]:
        clip = SoundingClip(self.frames[index, None] / 255, self.waves[index])
        return clip, int(self.labels[index])

    def pictures_of(self, what: str) -> SmallImages:
        """The frames with labels of ``"digits"`` or of ``"places"``, for a teacher to learn."""
        labels, names = {
            "digits": (self.labels, self.classes),
            "places": (self.places, self.scenes),
        }[what]
        return SmallImages(self.frames / 255, labels.tolist(), names)

    def few(self, per_class: int, seed: int) -> Tensor:
        """The indices of so many clips of each digit, chosen at random."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(seed))
        rows = [
            order[self.labels[order] == label][:per_class] for label in range(len(self.classes))
        ]
        return torch.cat(rows)


class LabelledWaves(Dataset[tuple[Tensor, tuple[Tensor, Tensor]]]):
    """Sounds with labels, as ``SoundNet.loss`` wants them: of scenes nothing is known.

    Args:
        waves: ``[N, samples]``.
        labels: ``[N]`` int64.
        model: whose numbers of classes and scenes count, and whose heads have one time step.
    """

    def __init__(self, waves: Tensor, labels: Tensor, model: SoundNet) -> None:
        self.waves = waves
        self.objects = F.one_hot(labels, len(model.classes)).float()[..., None]
        self.scenes = torch.full((len(model.scenes), 1), 1 / len(model.scenes))

    def __len__(self) -> int:
        return len(self.waves)

    def __getitem__(self, index: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        return self.waves[index], (self.objects[index], self.scenes)


@torch.no_grad()
def heard(model: SoundNet, waves: Tensor, batch_size: int = 64) -> tuple[Tensor, Tensor]:
    """What a SoundNet has of sounds, in eval mode.

    Returns:
        The objects' probabilities ``[N, C]``; and pool5 as its mean and its maximum over time,
        ``[N, 2 * channels]``.
    """
    device = next(model.parameters()).device
    was, rows = model.training, []
    model.eval()
    for first in range(0, len(waves), batch_size):
        part = waves[first : first + batch_size].to(device)
        objects = model(part).objects.softmax(dim=1).mean(dim=2)
        maps = model.features(part, "pool5")
        rows.append((objects, torch.cat([maps.mean(dim=2), maps.amax(dim=2)], dim=1)))
    model.train(was)
    objects, features = (torch.cat(column).cpu() for column in zip(*rows, strict=True))
    return objects, features


def linear_accuracy(train: Any, labels: Tensor, test: Tensor, truth: Tensor) -> float:
    """The accuracy on ``test`` of a linear layer that learnt ``train``, both ``[N, F]``."""
    mean, std = train.mean(dim=0), train.std(dim=0).clamp(min=1e-6)
    torch.manual_seed(0)
    layer = torch.nn.Linear(train.shape[1], int(labels.max()) + 1)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.01, weight_decay=0.1)
    for _ in range(300):
        optimizer.zero_grad()
        loss = F.cross_entropy(layer((train - mean) / std), labels)
        loss.backward()  # type: ignore[no-untyped-call]  # torch's is
        optimizer.step()
    predictions = layer((test - mean) / std).argmax(dim=1)
    return float((predictions == truth).float().mean())
