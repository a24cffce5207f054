"""A small YOLO v1 that finds handwritten digits on photographs.

Model: the paper's network with a quarter of the channels and with norms, 6 x 6 cells, on scenes
twice as large. As in the paper the first 20 convolutions learn to classify first, on 96000 pictures
of one digit, at half of the side; they then learn slowly, the four that follow fast. Data:
``DrawnDigits``, 72000 scenes of 192 x 192 pixels with 1 to 6 digits: a fully connected layer learns
each cell by itself, and 4000 would show a cell each digit but a few times. Schedule: AdamW, one
cycle each. Level: AP 0.127, AP50 0.424 on 500 scenes whose digits and photographs it never saw
(seed 0, one run); after 24000 scenes AP50 was 0.189.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from fastcv.data import DrawnDigits
from fastcv.models import Model, create_model
from fastcv.recipes.detection._digits import evaluate_on_digits, train_on_digits
from fastcv.recipes.detection._one_digit import learn_to_classify
from fastcv.recipes.learn._small import adamw

PICTURES = 96000
SCENES, EPOCHS = 72000, 1
LR, LR_LAST = 2e-4, 1e-3  # at 1e-3 the first convolutions forgot the classes
FIRST = 20 * 3 + 4  # modules: 20 convolutions with norm and activation, four pools
FIRST_CHANNELS = 256


def build() -> Model:
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
    features = cast("nn.Sequential", model.get_submodule("features"))
    learn_to_classify(
        features[:FIRST],
        FIRST_CHANNELS,
        Path(out, "first_layers"),
        pictures=PICTURES,
        enlarge=2,
        seed=seed,
        device=device,
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
        optimizer=lambda _: adamw(
            [
                {"params": features[:FIRST].parameters(), "lr": LR},
                {"params": features[FIRST:].parameters(), "lr": LR_LAST},
                {"params": model.get_submodule("head").parameters(), "lr": LR},
            ]
        ),
        data=DrawnDigits("train", length=SCENES),
    )


def evaluate(
    weights: str | os.PathLike[str] | None = None, *, device: str = "auto"
) -> dict[str, Any]:
    """COCO metrics on the test scenes; see ``evaluate_on_digits``."""
    return evaluate_on_digits(weights, device=device)
