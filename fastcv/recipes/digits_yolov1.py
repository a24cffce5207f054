"""A small YOLO v1 that finds handwritten digits on photographs.

Model: the paper's network with a quarter of the channels and with norms, 6 x 6 cells, on scenes
twice as large. As in the paper the first 20 convolutions learn to classify first, on 96000 pictures
of one digit, at half of the side. Then data is ``DrawnDigits``, 24000 scenes of 192 x 192 pixels
with 1 to 6 digits: a fully connected layer learns each cell by itself, and 4000 would show a cell
each digit but a few times. Schedule: AdamW, one cycle each. Level: AP 0.045, AP50 0.189 on 500
scenes whose digits and photographs it never saw (seed 0, one run).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from fastcv.data import DrawnDigits
from fastcv.learn import fit
from fastcv.models import System, create_model
from fastcv.recipes._device import precision_on
from fastcv.recipes._digits import evaluate_on_digits, train_on_digits
from fastcv.recipes._small import adamw, one_cycle

PICTURES = 96000
SCENES, EPOCHS = 24000, 1
LR = 2e-4  # at 1e-3 the convolutions forgot the classes
FIRST = 20 * 3 + 4  # modules: 20 convolutions with norm and activation, four pools


class OneDigit(Dataset[tuple[Tensor, int]]):
    """One digit on a photograph, 128 x 128 pixels, and which it is."""

    def __init__(self, length: int) -> None:
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
        large = F.interpolate(image[None], scale_factor=2, mode="bilinear")[0]
        return large, int(target["labels"][0]) - 1


class FirstLayers(nn.Module):
    """The first 20 convolutions, a mean over the map and a linear layer: a classifier.

    Args:
        features: of a YOLO v1 with norms; its layers are shared, not copied.
    """

    def __init__(self, features: nn.Sequential) -> None:
        super().__init__()
        self.features = features[:FIRST]
        norm = self.features[-2]
        assert isinstance(norm, nn.BatchNorm2d)
        self.fc = nn.Linear(norm.num_features, len(DrawnDigits.classes) - 1)

    def forward(self, images: Tensor) -> Tensor:
        """``[N, 3, H, W]`` in [0, 1] to logits ``[N, 10]``."""
        return self.fc(self.features(images).mean(dim=(2, 3)))

    def loss(self, output: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Cross-entropy."""
        return {"loss_class": F.cross_entropy(output.float(), labels)}


def build() -> System:
    """The model with random weights."""
    model = create_model(
        "yolov1",
        num_classes=len(DrawnDigits.classes),
        grid=6,
        width=16,
        hidden=1024,
        dropout=0.0,  # no scene is seen twice
        batch_norm=True,
    )
    model.classes = DrawnDigits.classes
    return model


def train(
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    epochs: int | None = None,
    device: str = "auto",
    workers: int = 0,
) -> dict[str, Any]:
    """Train the first layers as a classifier, then all; a run that was stopped goes on.

    Args:
        out: folder for both runs; ``digits_yolov1.safetensors`` in it is the result.
        seed: of weights and order.
        epochs: passes over the scenes; by default 1.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        workers: processes that draw.

    Returns:
        what ``evaluate`` found on the test scenes.
    """
    torch.manual_seed(seed)
    model = build()
    fit(
        FirstLayers(model.get_submodule("features")),  # type: ignore[arg-type]
        OneDigit(PICTURES),
        epochs=1,
        batch_size=32,
        optimizer=lambda parameters: adamw(parameters, 2e-3),
        scheduler=one_cycle,
        precision=precision_on(device),
        out=Path(out, "first_layers"),
        seed=seed,
        devices=device,
        workers=workers,
    )
    return train_on_digits(
        lambda: model,
        "digits_yolov1",
        out,
        seed=seed,
        epochs=epochs or EPOCHS,
        device=device,
        workers=workers,
        optimizer=lambda parameters: adamw(parameters, LR),
        data=DrawnDigits("train", length=SCENES),
    )


def evaluate(
    weights: str | os.PathLike[str] | None = None, *, device: str = "auto"
) -> dict[str, Any]:
    """COCO metrics on the test scenes; see ``evaluate_on_digits``."""
    return evaluate_on_digits(weights, device=device)
