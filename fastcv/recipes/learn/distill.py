"""Distillation: ten images of each class say more with a teacher's answers than with labels alone.

The teacher learns from the first 1297 of scikit-learn's digits. The student has ten of each digit
among them: once with the labels alone, once with the teacher's softened answers on the same images
too, from the same initial weights, in the same order. That soft answers keep a small set from
overfitting is section 6 of Hinton et al. (2015).

A run has ``alone/student.safetensors`` and ``distilled/student.safetensors``.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch.utils.data import Subset

from fastcv.learn import Distillation
from fastcv.learn._state import model_state, write_weights
from fastcv.metrics import evaluate_classifier
from fastcv.recipes._recipe import Recipe, Run
from fastcv.recipes.learn._small import (
    classifier_of_scans,
    few_of_each,
    mean_of_three,
    scanned_digits,
    small_classifier,
    small_recipe,
)

PER_CLASS = 10
TEACHER_WIDTH, STUDENT_WIDTH = 16, 8
TEACHER_EPOCHS = 15
TEMPERATURE, LABEL_WEIGHT = 4.0, 0.1


def alone_and_distilled(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Train the teacher, then the student without and with it.

    Returns:
        The accuracies on held-out digits of the teacher, of the student alone and of the
        distilled one.
    """
    data, test = recipe.data["train"](), recipe.data["test"]()
    few = Subset(data, few_of_each(data, PER_CLASS, run.seed))

    torch.manual_seed(run.seed)
    teacher = classifier_of_scans(TEACHER_WIDTH)
    schedule = small_classifier(teacher, run.device, lr=3e-3, batch_size=32)
    run.fit(teacher, data, "teacher", epochs=TEACHER_EPOCHS, **schedule)
    found = {"teacher acc@1": evaluate_classifier(teacher, test)["acc@1"]}

    for name in ("alone", "distilled"):
        torch.manual_seed(run.seed)
        student = classifier_of_scans(STUDENT_WIDTH)
        model = (
            student
            if name == "alone"
            else Distillation(teacher, student, temperature=TEMPERATURE, label_weight=LABEL_WEIGHT)
        )
        run.fit(model, few, name, **recipe.schedule(model, run.device))
        write_weights(run.out / name / "student.safetensors", model_state(student))
        found[f"{name} acc@1"] = evaluate_classifier(student, test)["acc@1"]
    return found


RECIPE = small_recipe(
    name="distill",
    summary="ten labels a digit, alone and with a teacher's answers",
    data={"train": partial(scanned_digits, "train"), "test": partial(scanned_digits, "test")},
    build=lambda: classifier_of_scans(STUDENT_WIDTH),
    epochs=60,
    schedule=partial(small_classifier, lr=5e-3, batch_size=20),
    level=mean_of_three("500 digits none of them saw", teacher=0.983, alone=0.863, distilled=0.909),
    stages=alone_and_distilled,
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
