"""A small R-CNN that finds handwritten digits on photographs, in boxes of selective search.

Data: ``DrawnDigits``, 600 scenes of 192 x 192 pixels with 1 to 6 digits. Model: three convolutions
on crops of 48 x 48 pixels. Schedule: AdamW, one cycle, four passes; then SVMs and box regressions,
of the first 200 scenes. Level: AP 0.417, AP50 0.544 on 100 scenes whose digits and photographs it
never saw (seed 0, one run).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from fastcv.data import DrawnDigits, WithProposals
from fastcv.learn import fit
from fastcv.metrics import evaluate_detector
from fastcv.models import create_model, load_model, save_model
from fastcv.models.detection.rcnn import RCNN
from fastcv.recipes._device import device_named, precision_on
from fastcv.recipes.detection._digits import NO_WEIGHTS, short_rise
from fastcv.recipes.learn._small import adamw

WEIGHTS = "digits_rcnn.safetensors"
SCENES = {"network": 600, "svms": 200}
EPOCHS = 4


def build() -> RCNN:
    """The model with random weights."""
    model = create_model("rcnn_small", num_classes=len(DrawnDigits.classes), width=16)
    assert isinstance(model, RCNN)
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
    """Train the network from nothing, then solve the rest; a run that was stopped goes on.

    Args:
        out: folder for the run and the features; ``digits_rcnn.safetensors`` in it is the result.
        seed: of weights, order, sampling and of the SVMs.
        epochs: passes over the scenes; by default 4.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        workers: processes that draw scenes and search them.

    Returns:
        what ``evaluate`` found on the first 100 test scenes.
    """
    torch.manual_seed(seed)
    model = build()
    fit(
        model,
        WithProposals(DrawnDigits("train", length=SCENES["network"])),
        epochs=epochs or EPOCHS,
        batch_size=4,
        optimizer=adamw,
        scheduler=short_rise,
        precision=precision_on(device),
        clip_norm=10.0,
        out=out,
        seed=seed,
        devices=device,
        workers=workers,
    )
    scenes = WithProposals(DrawnDigits("train", length=SCENES["svms"]))
    model.fit_svms(scenes, cache=Path(out, "features"), seed=seed)
    weights = Path(out) / WEIGHTS
    save_model(weights, model, half=True)
    return evaluate(weights, device=device)


def evaluate(
    weights: str | os.PathLike[str] | None = None, *, device: str = "auto"
) -> dict[str, Any]:
    """COCO metrics on the first 100 test scenes: crops take their time.

    Args:
        weights: a file that ``train`` wrote.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Raises:
        ValueError: no weights; none ship.
    """
    if weights is None:
        raise ValueError(NO_WEIGHTS)
    model = load_model(weights).to(device_named(device))
    return evaluate_detector(model, DrawnDigits("test", length=100), score_threshold=0.3)
