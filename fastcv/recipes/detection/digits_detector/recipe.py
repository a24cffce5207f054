"""A small Faster R-CNN that finds handwritten digits on photographs.

Data: ``DrawnDigits``, 4000 scenes of 192 x 192 pixels with 1 to 6 digits. Model: ResNet-18-FPN of
half the width. Schedule: AdamW, one cycle, four passes. Level: mAP@0.5 of at least 0.90 on 500
scenes whose digits and photographs the training never saw.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from torch import Tensor

from fastcv.data import DrawnDigits
from fastcv.models import Model, create_model, load_model
from fastcv.recipes.detection._digits import evaluate_on_digits, train_on_digits

WEIGHTS = Path(__file__).parent / "digits_detector.safetensors"
EPOCHS = 4


def build() -> Model:
    """The model with random weights."""
    model = create_model(
        "fasterrcnn_resnet18_fpn",
        num_classes=len(DrawnDigits.classes),
        width=32,
        fpn_channels=64,
        head_channels=256,
        rois_per_image=128,
        anchor_sizes=((16,), (24,), (32,), (48,), (64,)),
        min_size=192,
        max_size=320,
    )
    model.classes = DrawnDigits.classes
    return model


def trained_body() -> dict[str, Tensor]:
    """The weights of the ResNet-18 in the detector that ships.

    Other recipes start from them, where the papers start from a classifier of ImageNet.
    """
    return load_model(WEIGHTS).get_submodule("backbone.body").state_dict()


def train(
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    epochs: int | None = None,
    device: str = "auto",
    workers: int = 0,
) -> dict[str, float]:
    """Train from nothing; a run that was stopped goes on.

    Args:
        out: folder for the run; ``digits_detector.safetensors`` in it is the result.
        seed: of weights, order and sampling.
        epochs: passes over the 4000 scenes; by default 4.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        workers: processes that draw scenes.

    Returns:
        what ``evaluate`` found on the test scenes.
    """
    return train_on_digits(
        build,
        "digits_detector",
        out,
        seed=seed,
        epochs=epochs or EPOCHS,
        device=device,
        workers=workers,
    )


def evaluate(
    weights: str | os.PathLike[str] | None = None, *, device: str = "auto"
) -> dict[str, Any]:
    """COCO metrics on the test scenes.

    Args:
        weights: a file that ``train`` wrote; None: the one that ships.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
    """
    return evaluate_on_digits(weights or WEIGHTS, device=device)
