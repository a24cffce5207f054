"""What the recipes of learning from little data share: one drawn digit an image, and its class."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv.data import DrawnDigits
from fastcv.models import System, create_model

SIDE = 40


class DigitImages(Dataset[tuple[Tensor, int]]):
    """One handwritten digit on a photograph in each image, ``[3, 40, 40]``, and which it is.

    Splits share neither handwriting nor photographs, as those of ``DrawnDigits``. Images are drawn
    once and kept.

    Args:
        split: ``"train"`` or ``"test"``.
        length: how many images are drawn, of all ten digits.
        digits: which of them stay; the first is label 0.
    """

    def __init__(self, split: str, length: int, digits: tuple[int, ...] = tuple(range(10))) -> None:
        drawn = DrawnDigits(
            split, size=(SIDE, SIDE), length=length, max_digits=1, digit_size=(18, 26)
        )
        self.classes = tuple(str(digit) for digit in digits)
        label_of = {digit + 1: label for label, digit in enumerate(digits)}
        # Now and then a digit finds no room, and the image is left out.
        items = [(image, digit) for image, target in drawn for digit in target["labels"].tolist()]
        self.items = [(image, label_of[digit]) for image, digit in items if digit in label_of]

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.items[index]


def few_of_each(data: DigitImages, per_class: int, seed: int) -> list[int]:
    """The indices of so many images of each class, chosen at random."""
    order = torch.randperm(len(data), generator=torch.Generator().manual_seed(seed)).tolist()
    chosen = []
    for label in range(len(data.classes)):
        chosen += [index for index in order if data[index][1] == label][:per_class]
    return chosen


def small_resnet(classes: tuple[str, ...], width: int) -> System:
    """A ResNet-18 of so many channels in its first stage, for the digit images."""
    model = create_model("resnet18", num_classes=len(classes), width=width)
    model.classes = classes
    model.preprocessing = {**model.preprocessing, "resize": SIDE, "crop": SIDE}
    return model
