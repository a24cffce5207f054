"""What the recipes of learning from little data share: small sets of real digits, a network."""

from __future__ import annotations

import os
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from fastcv._extras import need
from fastcv.data import DrawnDigits
from fastcv.learn import normalised_batches
from fastcv.learn.normalised_batches import Augmentation
from fastcv.metrics import evaluate_classifier
from fastcv.models import ImageModel
from fastcv.models.classification._classifier import Classifier
from fastcv.nn.backbones.resnet import BasicBlock
from fastcv.recipes._device import device_named

TRAINING = 1297  # of the 1797 digits
TEN = tuple(range(10))


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
    images = F.interpolate(pixels, size=(16, 16), mode="bilinear").expand(-1, 3, -1, -1)
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
        split, size=(24, 24), length=length, max_digits=1, digit_size=(13, 16), max_angle=15
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
        data: has the classes and the images' size.
        width: channels of the first block; the others have twice and four times as many.
    """

    def __init__(self, data: SmallImages, width: int) -> None:
        super().__init__()
        self.classes = data.classes
        side = data.images.shape[-1]
        self.preprocessing = {**self.preprocessing, "resize": side, "crop": side}
        self.stem = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.blocks = nn.Sequential(
            BasicBlock(width, width),
            BasicBlock(width, 2 * width, stride=2),
            BasicBlock(2 * width, 4 * width, stride=2),
        )
        self.fc = nn.Linear(4 * width, len(data.classes))

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, classes]`` of normalised images ``[B, 3, side, side]``."""
        return self.fc(self.blocks(self.stem(images)).mean(dim=(2, 3)))


def adamw(groups: Any, lr: float = 1e-3) -> torch.optim.Optimizer:
    """AdamW as all these recipes have it."""
    return torch.optim.AdamW(groups, lr=lr, weight_decay=0.05)


def one_cycle(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    """Up to each group's learning rate and down to nothing."""
    greatest = [group["lr"] for group in optimizer.param_groups]
    rise = max(0.2, 2 / steps)  # two steps at least: torch divides by one less
    return torch.optim.lr_scheduler.OneCycleLR(optimizer, greatest, steps, pct_start=rise)


def fit_options(
    model: ImageModel, lr: float, augment: Augmentation | None, device: str, workers: int
) -> dict[str, Any]:
    """What all runs of ``fit`` of these recipes share."""
    return {
        "optimizer": lambda parameters: adamw(parameters, lr),
        "scheduler": one_cycle,
        "collate_fn": normalised_batches(model, augment),
        "devices": device,
        "workers": workers,
    }


def evaluate_weights(
    model: SmallResNet,
    weights: str | os.PathLike[str] | None,
    data: SmallImages,
    device: str,
) -> dict[str, Any]:
    """The metrics of a file of weights on held-out data.

    Raises:
        ValueError: no weights: none ship.
    """
    if weights is None:
        raise ValueError(
            "no weights of this recipe ship: train first, then pass the student.safetensors or "
            "model.safetensors that it wrote as weights"
        )
    model.load_state_dict(load_file(weights))
    return evaluate_classifier(model.to(device_named(device)), data)
