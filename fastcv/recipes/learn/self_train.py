"""Self-training: 5% of the labels, and a noisy student that learns from the teacher's on the rest.

Of the first 1297 of scikit-learn's digits, six of each digit have their label, the others none. The
teacher has the labelled images only, and the same RandAugment as its students.

A run has ``student.safetensors``, the last student.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch.utils.data import Subset

from fastcv.augment import RandAugment
from fastcv.learn import add_noise, self_train
from fastcv.learn._state import model_state, write_weights
from fastcv.metrics import evaluate_classifier
from fastcv.models import ImageModel
from fastcv.recipes._recipe import Recipe, Run
from fastcv.recipes.learn._small import (
    SmallResNet,
    classifier_of_scans,
    few_of_each,
    mean_of_three,
    scanned_digits,
    small_classifier,
    small_recipe,
)

PER_CLASS = 6
ROUNDS = 2
TEACHER_WIDTH, STUDENT_WIDTH = 12, 16
TEACHER_EPOCHS = 100
THRESHOLD = 0.3


def schedule(model: Any, device: str) -> dict[str, Any]:
    """That of the other small classifiers, with RandAugment."""
    noise = RandAugment(n=1, m=9)
    return small_classifier(model, device, lr=3e-3, batch_size=32, augment=noise)


def teacher_then_students(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Train the teacher and the rounds of students.

    Returns:
        The accuracies on held-out digits: of labels only, and of each round's student.
    """
    data, test = recipe.data["train"](), recipe.data["test"]()
    with_label = few_of_each(data, PER_CLASS, run.seed)
    without = sorted(set(range(len(data))) - set(with_label))
    models: list[SmallResNet] = []

    def make(number: int) -> tuple[ImageModel, dict[str, Any]]:
        model = classifier_of_scans(STUDENT_WIDTH if number else TEACHER_WIDTH)
        models.append(model)
        options = {
            **recipe.schedule(model, run.device),
            "devices": run.device,
            "workers": run.workers,
        }
        if not number:
            return model, {**options, "epochs": TEACHER_EPOCHS, "batch_size": 20}
        add_noise(model, dropout=0.3, stochastic_depth=0.2)
        return model, {**options, "epochs": run.epochs}

    self_train(
        make,
        Subset(data, with_label),
        Subset(data, without),
        rounds=ROUNDS,
        threshold=THRESHOLD,
        out=run.out,
        seed=run.seed,
    )
    write_weights(run.out / "student.safetensors", model_state(models[-1]))
    names = ["labels only", *(f"round {number}" for number in range(1, ROUNDS + 1))]
    return {
        f"{name} acc@1": evaluate_classifier(model, test)["acc@1"]
        for name, model in zip(names, models, strict=True)
    }


RECIPE = small_recipe(
    name="self_train",
    summary="six labels a digit, two rounds of students on the digits without",
    data={"train": partial(scanned_digits, "train"), "test": partial(scanned_digits, "test")},
    build=lambda: classifier_of_scans(STUDENT_WIDTH),
    epochs=12,
    schedule=schedule,
    level=mean_of_three(
        "500 digits none of them saw", labels_only=0.906, round_1=0.937, round_2=0.950
    ),
    stages=teacher_then_students,
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
