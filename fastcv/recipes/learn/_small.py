"""What the recipes of learning from little data share: small sets of real digits, a network."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from fastcv._extras import need
from fastcv.data import DrawnDigits
from fastcv.learn import normalised_batches
from fastcv.learn.normalised_batches import Augmentation
from fastcv.learn.schedules import adamw, one_cycle
from fastcv.metrics import evaluate_classifier
from fastcv.models.classification._classifier import Classifier
from fastcv.nn.backbones.resnet import BasicBlock
from fastcv.recipes._recipe import NO_WEIGHTS, Level, Recipe

TRAINING = 1297  # of the 1797 digits
TEN = tuple(range(10))
SCAN, PHOTOGRAPH = 16, 24  # pixels along a side


class SmallImages(Dataset[tuple[Tensor, int]]):
    """Images and labels in memory.

    Args:
        images: ``[N, 3, H, W]``.
        labels: of each image.
        classes: names by label.
    """

    def __init__(self, images: Tensor, labels: list[int], classes: tuple[str, ...]) -> None:
        self.images, self.labels, self.classes = images, labels, classes

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], self.labels[index]


def scanned_digits(split: str) -> SmallImages:
    """scikit-learn's handwritten digits, 8 x 8 pixels enlarged to 16 x 16, grey as RGB.

    Args:
        split: ``"train"`` (the first 1297) or ``"test"`` (the last 500).

    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits" (1998).
    """
    part = slice(TRAINING) if split == "train" else slice(TRAINING, None)
    collection = need("sklearn.datasets", extra="data").load_digits()
    pixels = torch.from_numpy(collection.images[part]).float()[:, None] / 16
    images = F.interpolate(pixels, size=(SCAN, SCAN), mode="bilinear").expand(-1, 3, -1, -1)
    return SmallImages(images, collection.target[part].tolist(), tuple(map(str, TEN)))


def digits_on_photographs(split: str, length: int, digits: tuple[int, ...] = TEN) -> SmallImages:
    """``DrawnDigits`` of one digit and 24 x 24 pixels, in any colours, and which digit it is.

    Splits share neither handwriting nor photographs.

    Args:
        split: ``"train"`` or ``"test"``.
        length: how many images are drawn, of all ten digits.
        digits: which of them stay; the first is label 0.
    """
    scenes = DrawnDigits(
        split,
        size=(PHOTOGRAPH, PHOTOGRAPH),
        length=length,
        max_digits=1,
        digit_size=(13, 16),
        max_angle=15,
    )
    images, labels = [], []
    for index in range(length):
        image, target = scenes[index]
        # Now and then a digit finds no room.
        for digit in (target["labels"] - 1).tolist():
            if digit in digits:
                images.append(image)
                labels.append(digits.index(digit))
    return SmallImages(torch.stack(images), labels, tuple(map(str, digits)))


def few_of_each(data: SmallImages, per_class: int, seed: int) -> list[int]:
    """The indices of so many images of each class, chosen at random."""
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed)).tolist()
    chosen: list[int] = []
    for label in range(len(data.classes)):
        chosen += [index for index in order if data.labels[index] == label][:per_class]
    return chosen


class SmallResNet(Classifier):
    """Three residual blocks at strides 1, 2 and 4.

    Args:
        classes: names by label.
        side: of the images, in pixels.
        width: channels of the first block; the others have twice and four times as many.
    """

    def __init__(self, classes: tuple[str, ...], side: int, width: int) -> None:
        super().__init__()
        self.classes = classes
        self.preprocessing = {**self.preprocessing, "resize": side, "crop": side}
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.blocks = nn.Sequential(
            BasicBlock(width, width),
            BasicBlock(width, 2 * width, stride=2),
            BasicBlock(2 * width, 4 * width, stride=2),
        )
        self.fc = nn.Linear(4 * width, len(classes))

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, classes]`` of normalised images ``[B, 3, side, side]``."""
        return self.fc(self.blocks(self.stem(images)).mean(dim=(2, 3)))


def classifier_of_scans(width: int) -> SmallResNet:
    """A network with random weights for ``scanned_digits``."""
    return SmallResNet(tuple(map(str, TEN)), SCAN, width)


def small_classifier(
    model: Any, device: str, *, lr: float, batch_size: int, augment: Augmentation | None = None
) -> dict[str, Any]:
    """The schedule of all runs of ``fit`` of these recipes."""
    return {
        "batch_size": batch_size,
        "optimizer": partial(adamw, lr=lr),
        "scheduler": one_cycle(0.2),
        "collate_fn": normalised_batches(model, augment),
    }


def mean_of_three(on: str, **metrics: float) -> Level:
    """The level of runs from seeds 1, 2 and 3: accuracies by what was trained."""
    return Level(
        {f"{name.replace('_', ' ')} acc@1": value for name, value in metrics.items()},
        on=on,
        runs="mean of seeds 1, 2 and 3",
        date="2026-11-24",
    )


small_recipe = partial(
    Recipe,
    metrics=evaluate_classifier,
    no_weights=NO_WEIGHTS.format("student.safetensors or model.safetensors") + " as weights",
)
