"""What the recipes of learning from little data share: handwritten digits and a small network."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from fastcv._extras import need
from fastcv.models.classification._classifier import Classifier
from fastcv.nn.resnet import BasicBlock

SIDE = 16
TRAINING = 1297  # of the 1797 digits; they lie writer by writer, so that the rest has other hands


class DigitImages(Dataset[tuple[Tensor, int]]):
    """scikit-learn's handwritten digits, 8 x 8 pixels enlarged to 16 x 16, grey as RGB.

    Args:
        split: ``"train"`` (the first 1297) or ``"test"`` (the last 500).
        digits: which of them stay; the first is label 0.

    Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits" (1998).
    """

    def __init__(self, split: str, digits: tuple[int, ...] = tuple(range(10))) -> None:
        part = slice(TRAINING) if split == "train" else slice(TRAINING, None)
        collection = need("sklearn.datasets", extra="data").load_digits()
        pixels = torch.from_numpy(collection.images[part]).float()[:, None] / 16
        found = torch.from_numpy(collection.target[part])
        self.classes = tuple(str(digit) for digit in digits)
        kept = [i for i, digit in enumerate(found.tolist()) if digit in digits]
        self.labels = [digits.index(digit) for digit in found[kept].tolist()]
        large = F.interpolate(pixels[kept], size=(SIDE, SIDE), mode="bilinear")
        self.images = large.expand(-1, 3, -1, -1)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.images[index], self.labels[index]


def few_of_each(data: DigitImages, per_class: int, seed: int) -> list[int]:
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
        width: channels of the first block; the others have twice and four times as many.
    """

    def __init__(self, classes: tuple[str, ...], width: int) -> None:
        super().__init__()
        self.classes = classes
        self.preprocessing = {**self.preprocessing, "resize": SIDE, "crop": SIDE}
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
        """Logits ``[B, classes]`` of normalised images ``[B, 3, 16, 16]``."""
        return self.fc(self.blocks(self.stem(images)).mean(dim=(2, 3)))
