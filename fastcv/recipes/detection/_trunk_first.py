"""Trunks of small detectors learn to classify first, as those of the papers did on ImageNet."""

from __future__ import annotations

from functools import partial

from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from fastcv.data import DrawnDigits
from fastcv.learn.schedules import adamw, fastest_precision, one_cycle
from fastcv.recipes._recipe import Run


class OneDigit(Dataset[tuple[Tensor, int]]):
    """One digit on a photograph of 64 x 64 pixels, enlarged, and which it is.

    Args:
        length: pictures.
        enlarge: their pixels so many times.
    """

    def __init__(self, length: int, enlarge: int) -> None:
        self.enlarge = enlarge
        self.scenes = DrawnDigits(
            "train", size=(64, 64), length=length, max_digits=1, digit_size=(20, 42)
        )

    def __len__(self) -> int:
        return len(self.scenes)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        image, target = self.scenes[index]
        while not len(target["labels"]):  # now and then a digit finds no room
            index = (index + 1) % len(self)
            image, target = self.scenes[index]
        large = F.interpolate(image[None], scale_factor=self.enlarge, mode="bilinear")[0]
        return large, int(target["labels"][0]) - 1


class OneDigitClassifier(nn.Module):
    """A trunk, a mean over its map and a linear layer.

    Args:
        features: the trunk, ``[N, 3, H, W]`` in [0, 1] to a map; shared, not copied.
        channels: of the map.
    """

    def __init__(self, features: nn.Module, channels: int) -> None:
        super().__init__()
        self.features = features
        self.fc = nn.Linear(channels, len(DrawnDigits.classes) - 1)

    def forward(self, images: Tensor) -> Tensor:
        """``[N, 3, H, W]`` in [0, 1] to logits ``[N, 10]``."""
        return self.fc(self.features(images).mean(dim=(2, 3)))

    def loss(self, output: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Cross-entropy."""
        return {"loss_class": F.cross_entropy(output.float(), labels)}


def learn_to_classify(
    features: nn.Module, channels: int, pictures: OneDigit, run: Run, part: str
) -> None:
    """Train ``features`` in place on pictures of one digit; a run that was stopped goes on.

    Args:
        features: a trunk, of ``[N, 3, H, W]`` in [0, 1].
        channels: of its map.
        pictures: of digits as large as the detector will see.
        run: of the recipe.
        part: folder of this stage in the run's.
    """
    run.fit(
        OneDigitClassifier(features, channels),
        pictures,
        part,
        epochs=1,
        batch_size=32,
        optimizer=partial(adamw, lr=2e-3),
        scheduler=one_cycle(0.2),
        precision=fastest_precision(run.device),
    )
