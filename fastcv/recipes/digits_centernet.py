"""A small CenterNet that finds handwritten digits on photographs.

Data: ``DrawnDigits``, 4000 scenes of 192 x 192 pixels with 1 to 6 digits. Model: ResNet-18 of half
the width with deformable convolutions on the way up to stride 4. As in the paper the trunk's
weights are those of another task, here of the Faster R-CNN that ships: from nothing it found no way
through stride 32. Schedule: AdamW, one cycle, six passes.
"""

from __future__ import annotations

import os
from typing import Any

from fastcv.data import DrawnDigits
from fastcv.models import System, create_model
from fastcv.recipes._digits import evaluate_on_digits, train_on_digits
from fastcv.recipes.digits_detector.recipe import trained_body

EPOCHS = 6


def build() -> System:
    """The model with random weights but for its trunk."""
    model = create_model(
        "centernet_resdcn18", num_classes=len(DrawnDigits.classes), width=32, size=192
    )
    model.classes = DrawnDigits.classes
    trained = trained_body()
    trained["conv1.weight"] = trained["conv1.weight"].flip(1)  # CenterNet's images are BGR
    trunk = model.get_submodule("backbone").state_dict()
    model.get_submodule("backbone").load_state_dict(trunk | trained)
    return model


def train(
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    epochs: int | None = None,
    device: str = "auto",
    workers: int = 0,
) -> dict[str, Any]:
    """Train from nothing; see ``train_on_digits``. ``epochs``: by default 6."""
    return train_on_digits(
        build,
        "digits_centernet",
        out,
        seed=seed,
        epochs=epochs or EPOCHS,
        device=device,
        workers=workers,
    )


def evaluate(
    weights: str | os.PathLike[str] | None = None, *, device: str = "auto"
) -> dict[str, Any]:
    """COCO metrics on the test scenes; see ``evaluate_on_digits``."""
    return evaluate_on_digits(weights, device=device)
