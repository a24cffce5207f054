"""Self-training: 5% of the labels, and a noisy student that learns from the teacher's on the rest.

Data: scikit-learn's digits, the first 1297: six of each digit with their label, the others
without; held out: the last 500. The teacher has the labelled images only, and the
same RandAugment as its students.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from torch.utils.data import Subset

from fastcv.augment import RandAugment
from fastcv.learn import add_noise, self_train
from fastcv.learn._state import model_state, write_weights
from fastcv.metrics import evaluate_classifier
from fastcv.models import ImageModel
from fastcv.recipes.learn._small import (
    SmallResNet,
    evaluate_weights,
    few_of_each,
    fit_options,
    scanned_digits,
)

PER_CLASS = 6
ROUNDS = 2
TEACHER_WIDTH, STUDENT_WIDTH = 12, 16
TEACHER_EPOCHS, EPOCHS = 100, 12
THRESHOLD = 0.3


def train(
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    epochs: int | None = None,
    device: str = "auto",
    workers: int = 0,
) -> dict[str, float]:
    """Train the teacher and two rounds of students.

    Args:
        out: folder for the rounds; a call that was stopped goes on.
        seed: of weights, order, noise, and of which images have labels.
        epochs: passes of a student over all images; by default 12.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        workers: processes that load data.

    Returns:
        the accuracies on held-out digits: of labels only, and of each round's student.
    """
    data, test = scanned_digits("train"), scanned_digits("test")
    with_label = few_of_each(data, PER_CLASS, seed)
    without = sorted(set(range(len(data))) - set(with_label))
    models: list[SmallResNet] = []

    def make(number: int) -> tuple[ImageModel, dict[str, Any]]:
        model = SmallResNet(data, STUDENT_WIDTH if number else TEACHER_WIDTH)
        models.append(model)
        if number:
            add_noise(model, dropout=0.3, stochastic_depth=0.2)
        options = fit_options(model, 3e-3, RandAugment(n=1, m=9), device, workers)
        if number:
            return model, {**options, "epochs": epochs or EPOCHS, "batch_size": 32}
        return model, {**options, "epochs": TEACHER_EPOCHS, "batch_size": 20}

    self_train(
        make,
        Subset(data, with_label),
        Subset(data, without),
        rounds=ROUNDS,
        threshold=THRESHOLD,
        out=out,
        seed=seed,
    )
    write_weights(Path(out, "student.safetensors"), model_state(models[-1]))
    names = ["labels only", *(f"round {number}" for number in range(1, ROUNDS + 1))]
    return {
        f"{name} acc@1": evaluate_classifier(model, test)["acc@1"]
        for name, model in zip(names, models, strict=True)
    }


def evaluate(
    weights: str | os.PathLike[str] | None = None, *, device: str = "auto"
) -> dict[str, Any]:
    """Metrics of the last student on held-out digits.

    Args:
        weights: ``student.safetensors`` of a run.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
    """
    test = scanned_digits("test")
    return evaluate_weights(SmallResNet(test, STUDENT_WIDTH), weights, test, device)
