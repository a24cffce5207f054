"""Distillation: a tiny student learns more from a teacher's answers than from labels alone.

Data: scikit-learn's digits, the first 1297; held out: the last 500, in other hands. Teacher: some
175,000 weights. Student: some 3,000; it learns once from the labels alone, once from teacher and
labels, with the same initial weights, images and order.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

from fastcv.learn import Distillation, evaluate_classifier, fit
from fastcv.recipes._small import (
    SmallResNet,
    evaluate_weights,
    fit_options,
    save_weights,
    scanned_digits,
)

TEACHER_WIDTH, STUDENT_WIDTH = 16, 2
TEACHER_EPOCHS, EPOCHS = 15, 30
TEMPERATURE, LABEL_WEIGHT = 4.0, 0.1


def train(
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    epochs: int | None = None,
    device: str = "auto",
    workers: int = 0,
) -> dict[str, float]:
    """Train the teacher, then the student with and without it.

    Args:
        out: folder for the three runs; a call that was stopped goes on.
        seed: of weights and order.
        epochs: passes of the student over the 1297 images; by default 30.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        workers: processes that load data.

    Returns:
        the accuracies on held-out digits of the teacher, of the student alone and of the
        distilled one.
    """
    data, test = scanned_digits("train"), scanned_digits("test")
    shared: dict[str, Any] = {"batch_size": 32, "seed": seed}

    torch.manual_seed(seed)
    teacher = SmallResNet(data, TEACHER_WIDTH)
    options = fit_options(teacher, 3e-3, None, device, workers)
    fit(teacher, data, epochs=TEACHER_EPOCHS, out=Path(out, "teacher"), **shared, **options)
    found = {"teacher acc@1": evaluate_classifier(teacher, test)["acc@1"]}

    for name in ("alone", "distilled"):
        torch.manual_seed(seed)
        student = SmallResNet(data, STUDENT_WIDTH)
        model = (
            student
            if name == "alone"
            else Distillation(teacher, student, temperature=TEMPERATURE, label_weight=LABEL_WEIGHT)
        )
        options = fit_options(model, 1e-2, None, device, workers)
        fit(model, data, epochs=epochs or EPOCHS, out=Path(out, name), **shared, **options)
        save_weights(Path(out, name, "student.safetensors"), student)
        found[f"{name} acc@1"] = evaluate_classifier(student, test)["acc@1"]
    return found


def evaluate(
    weights: str | os.PathLike[str] | None = None, *, device: str = "auto"
) -> dict[str, Any]:
    """Metrics of one of the students on held-out digits.

    Args:
        weights: ``distilled/student.safetensors`` or ``alone/student.safetensors`` of a run.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
    """
    test = scanned_digits("test")
    return evaluate_weights(SmallResNet(test, STUDENT_WIDTH), weights, test, device)
