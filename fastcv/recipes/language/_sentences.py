"""What a model of text to image learns from, and who judges it: one digit, and its sentences."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from fastcv.data import DrawnScenes
from fastcv.data.drawn_scenes import BACKGROUNDS, COLOURS, DIGITS, Scene
from fastcv.data.scene_text import captions
from fastcv.learn import fit
from fastcv.models import Model
from fastcv.models._mode import evaluating
from fastcv.nn.backbones.resnet import BasicBlock
from fastcv.recipes.learn._small import small_classifier

SIDE, DRAWN = 32, 44  # pixels along a side: of a picture, and of the scene that it is cut out of
DIGIT_SIZE = (21.0, 23.0)
MAX_ANGLE = 5.0
WORDINGS = 6  # of a scene of one digit: all that there are
PARTS = {"digit": DIGITS, "colour": tuple(COLOURS), "background": tuple(BACKGROUNDS)}
"""What a sentence says of a picture."""


class DigitSentences(Dataset[tuple[Tensor, list[str]]]):
    """``DrawnScenes`` of one digit, cut out about it, and all sentences that are right of each.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``.
        length: how many are drawn.

    Attributes:
        images: ``[N, 3, 32, 32]`` uint8.
        scenes: what is on each.
        labels: ``[N, 3]`` int64: digit, colour and background.
        held_out: ``[N]`` bool: whether no picture of the training split has this digit in this
            colour.
    """

    def __init__(self, split: str, length: int) -> None:
        drawn = DrawnScenes(
            split,
            size=(DRAWN, DRAWN),
            length=length,
            max_digits=1,
            digit_size=DIGIT_SIZE,
            max_angle=MAX_ANGLE,
        )
        items = [drawn[i] for i in range(length)]
        self.images = torch.stack([_about(image, target["boxes"][0]) for image, target in items])
        self.scenes: list[Scene] = [target["scene"] for _, target in items]
        self.labels = torch.tensor(
            [
                [int(target["labels"]) - 1, int(target["colours"]), target["background"]]
                for _, target in items
            ]
        )
        self.held_out = torch.cat([target["held_out"] for _, target in items])
        self.sentences = [captions(scene, WORDINGS) for scene in self.scenes]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, list[str]]:
        return self.images[index] / 255, self.sentences[index]

    @staticmethod
    def collate(items: Sequence[tuple[Tensor, list[str]]]) -> tuple[Tensor, list[list[str]]]:
        """A batch: pictures ``[B, 3, 32, 32]``, and the sentences of each."""
        return torch.stack([image for image, _ in items]), [texts for _, texts in items]


def _about(image: Tensor, box: Tensor) -> Tensor:
    """The square ``[3, 32, 32]`` uint8 about a box, as far as the image goes."""
    middle = (box[:2] + box[2:]) / 2
    left, top = (middle - SIDE / 2).round().long().clamp(0, DRAWN - SIDE).tolist()
    return (image[:, top : top + SIDE, left : left + SIDE] * 255).round().byte()


class WithLabels(Dataset[tuple[Tensor, Tensor]]):
    """The same pictures with digit, colour and background ``[3]`` in place of sentences."""

    def __init__(self, data: DigitSentences) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return self.data.images[index] / 255, self.data.labels[index]


class Reader(Model):
    """A small ResNet with three answers: which digit, which colour, which background."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            BasicBlock(width, width),
            BasicBlock(width, 2 * width, stride=2),
            BasicBlock(2 * width, 4 * width, stride=2),
        )
        self.heads = nn.ModuleList(nn.Linear(4 * width, len(names)) for names in PARTS.values())

    def features(self, images: Tensor) -> Tensor:
        """``[B, 64]`` of pictures ``[B, 3, 32, 32]`` in [0, 1]."""
        return self.body(images * 2 - 1).mean(dim=(2, 3))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Logits ``[B, 10]``, ``[B, 6]`` and ``[B, 8]``."""
        features = self.features(images)
        return [head(features) for head in self.heads]

    def loss(self, output: list[Tensor], targets: Tensor) -> dict[str, Tensor]:
        """The cross-entropy of each answer; targets ``[B, 3]``."""
        return {
            name: F.cross_entropy(logits, targets[:, i])
            for i, (name, logits) in enumerate(zip(PARTS, output, strict=True))
        }


READER_EPOCHS = 4


@functools.cache
def training_pictures() -> DigitSentences:
    """What the recipe and the reader learn from."""
    return DigitSentences("train", 6000)


@functools.cache
def reader() -> Reader:
    """A reader, trained on the first use: a minute."""
    torch.manual_seed(0)
    model = Reader()
    schedule = small_classifier(model, "cpu", lr=4e-3, batch_size=32)
    del schedule["collate_fn"]
    # Whoever asks first may be measuring, without gradients.
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode(False), torch.enable_grad():
        fit(
            model, WithLabels(training_pictures()), epochs=READER_EPOCHS, out=folder,
            devices="cpu", progress=False, tensorboard=False, **schedule,
        )  # fmt: skip
    return model


def read(pictures: Tensor) -> tuple[Tensor, Tensor]:
    """What the reader makes of pictures ``[N, 3, 32, 32]`` in [0, 1]: its features ``[N, 64]``, and
    digit, colour and background ``[N, 3]``."""
    model: Any = reader().to(pictures.device)
    with evaluating(model), torch.inference_mode():
        features = torch.cat([model.features(part) for part in torch.split(pictures, 200)])
        answers = [head(features).argmax(dim=1) for head in model.heads]
    return features, torch.stack(answers, dim=1)
