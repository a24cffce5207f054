"""Distillation: ten images of each class say more with a teacher's answers than with labels alone.

Data: scikit-learn's digits. The teacher learns from the first 1297. The student has ten of each
digit among them: once with the labels alone, once with the teacher's softened answers on the same
images too, from the same initial weights, in the same order. Held out: the last 500. That soft
answers keep a small set from overfitting is section 6 of Hinton et al. (2015).
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Subset

from fastcv.learn import Distillation, fit
from fastcv.learn._state import model_state, write_weights
from fastcv.metrics import evaluate_classifier
from fastcv.recipes.learn._small import (
    SmallResNet,
    evaluate_weights,
    few_of_each,
    fit_options,
    scanned_digits,
)

PER_CLASS = 10
TEACHER_WIDTH, STUDENT_WIDTH = 16, 8
TEACHER_EPOCHS, EPOCHS = 15, 60
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
        seed: of weights, order, and of which images the student has.
        epochs: passes of the student over its 100 images; by default 60.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        workers: processes that load data.

    Returns:
        the accuracies on held-out digits of the teacher, of the student alone and of the
        distilled one.
    """
    data, test = scanned_digits("train"), scanned_digits("test")
    few = Subset(data, few_of_each(data, PER_CLASS, seed))

    torch.manual_seed(seed)
    teacher = SmallResNet(data, TEACHER_WIDTH)
    options = fit_options(teacher, 3e-3, None, device, workers)
    folder = Path(out, "teacher")
    fit(teacher, data, epochs=TEACHER_EPOCHS, batch_size=32, seed=seed, out=folder, **options)
    found = {"teacher acc@1": evaluate_classifier(teacher, test)["acc@1"]}

    for name in ("alone", "distilled"):
        torch.manual_seed(seed)
        student = SmallResNet(data, STUDENT_WIDTH)
        model = (
            student
            if name == "alone"
            else Distillation(teacher, student, temperature=TEMPERATURE, label_weight=LABEL_WEIGHT)
        )
        options = fit_options(model, 5e-3, None, device, workers)
        folder = Path(out, name)
        fit(model, few, epochs=epochs or EPOCHS, batch_size=20, seed=seed, out=folder, **options)
        write_weights(folder / "student.safetensors", model_state(student))
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
