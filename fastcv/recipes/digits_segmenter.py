"""A small U-Net that says of each pixel which handwritten digit it belongs to.

Data: ``DrawnDigits`` as label maps, 3000 scenes of 96 x 96 pixels with 1 to 3 digits. Model:
U-Net of an eighth of the width. Schedule: AdamW, one cycle, six passes; cross-entropy and Dice.
Level: mIoU of at least 0.80 over ten digits and the background, on 300 scenes whose digits and
photographs the training never saw.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from fastcv.data import DrawnDigits, LabelMaps
from fastcv.learn import evaluate_segmenter, fit
from fastcv.models import create_model, load_model, save_model
from fastcv.models.segmentation._segmenter import Segmenter
from fastcv.recipes._device import device_named

WEIGHTS = "digits_segmenter.safetensors"
EPOCHS = 6
LENGTHS = {"train": 3000, "val": 60, "test": 300}


def scenes(split: str) -> LabelMaps:
    """The images of a split and their label maps."""
    return LabelMaps(
        DrawnDigits(
            split,
            size=(96, 96),
            length=LENGTHS[split],
            max_digits=3,
            digit_size=(24, 56),
        )
    )


def build() -> Segmenter:
    """The model with random weights."""
    model = create_model("unet", num_classes=len(DrawnDigits.classes), width=8)
    assert isinstance(model, Segmenter)
    model.classes = DrawnDigits.classes
    model.loss_terms = ("cross_entropy", "dice")  # digits are small beside the background
    return model


def train(
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    epochs: int | None = None,
    device: str = "auto",
    workers: int = 0,
) -> dict[str, Any]:
    """Train from nothing; a run that was stopped goes on.

    Args:
        out: folder for the run; ``digits_segmenter.safetensors`` in it is the result.
        seed: of weights and order.
        epochs: passes over the 3000 scenes; by default 6.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        workers: processes that draw scenes.

    Returns:
        what ``evaluate`` found on the test scenes.
    """
    torch.manual_seed(seed)
    model = build()
    fit(
        model,
        scenes("train"),
        epochs=epochs or EPOCHS,
        batch_size=10,
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=4e-3, weight_decay=0.05),
        scheduler=lambda optimizer, steps: torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=4e-3, total_steps=steps, pct_start=0.2
        ),
        val_data=scenes("val"),
        evaluate=evaluate_segmenter,
        out=out,
        seed=seed,
        devices=device,
        workers=workers,
    )
    weights = Path(out) / WEIGHTS
    save_model(weights, model, half=True)
    return evaluate(weights, device=device)


def evaluate(
    weights: str | os.PathLike[str] | None = None, *, device: str = "auto"
) -> dict[str, Any]:
    """IoU, accuracies and boundary F on the test scenes.

    Args:
        weights: the file that ``train`` wrote.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Raises:
        ValueError: no weights: none ship.
    """
    if weights is None:
        raise ValueError(
            f"no weights of this recipe ship: train first, then pass the {WEIGHTS} that it wrote"
        )
    model = load_model(weights)
    return evaluate_segmenter(model.to(device_named(device)), scenes("test"))
