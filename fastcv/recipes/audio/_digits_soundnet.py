"""SoundNet on sounding digits: it learns from pictures alone which digit makes which sound.

Two small classifiers learn frames: which digit, and which ground. Then a small SoundNet hears the
clips, and learns what the two say of a frame of each: it is never told what sounds. Its pool5 is
then of use with five labels of each digit, against the same network that has only those.

A run has ``digits_soundnet.safetensors``, the student.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from fastcv.learn import SoundNetStudent
from fastcv.learn.schedules import adamw, one_cycle
from fastcv.metrics import evaluate_classifier
from fastcv.models import create_model
from fastcv.models.audio.soundnet import SoundNet
from fastcv.recipes._recipe import Level, Recipe, Run
from fastcv.recipes.audio._clips import (
    SIDE,
    ClipsInMemory,
    LabelledWaves,
    heard,
    linear_accuracy,
)
from fastcv.recipes.learn._small import SmallResNet, small_classifier

LENGTHS = {"teachers": 1300, "train": 1500, "test": 300}
PER_CLASS = 5
TEACHER_WIDTH = 8
TEACHER_EPOCHS = {"digits": 10, "places": 3}
SCRATCH_EPOCHS = 40
FORM: dict[str, Any] = {
    "num_classes": 10,
    "num_scenes": 3,
    "width": 4,
    "pools": (4, 4, 4),
    "head_kernel": 2,
    "rate": 16000,
}


def build() -> SoundNet:
    """A SoundNet for one second at 16 kHz: smaller pools, so that a second is one time step."""
    model = create_model("soundnet8", classes=tuple("0123456789"), **FORM)
    assert isinstance(model, SoundNet)
    return model


def teacher(data: ClipsInMemory, what: str, run: Run) -> SmallResNet:
    """A classifier of frames, of their digits or of their places."""
    pictures = data.pictures_of(what)
    torch.manual_seed(run.seed)
    model = SmallResNet(pictures.classes, SIDE, TEACHER_WIDTH)
    schedule = small_classifier(model, run.device, lr=8e-3, batch_size=32)
    epochs = TEACHER_EPOCHS[what]
    run.fit(model, pictures, f"teacher_of_{what}", epochs=epochs, **schedule)
    return model


def named(model: Any, data: ClipsInMemory) -> dict[str, float]:
    """How many digits a SoundNet names by their sound."""
    objects, _ = heard(model, data.waves)
    return {"by sound acc@1": accuracy(objects, data.labels)}


def accuracy(scores: Tensor, labels: Tensor) -> float:
    return float((scores.argmax(dim=1) == labels).float().mean())


def taught_by_pictures(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Train the teachers, the student, and what the few labels are for.

    Returns:
        Accuracies on held-out clips: of the teachers by a frame, of the student by the sound alone;
        and with five labels of each digit, of a linear layer on pool5, and of a network from
        nothing.
    """
    data, test = recipe.data["train"](), recipe.data["test"]()
    seen = recipe.data["teachers"]()
    digits, places = (teacher(seen, what, run) for what in ("digits", "places"))
    found = {
        f"{what} by a frame acc@1": evaluate_classifier(model, test.pictures_of(what))["acc@1"]
        for what, model in (("digits", digits), ("places", places))
    }

    torch.manual_seed(run.seed)
    student: Any = recipe.build()
    model = SoundNetStudent(student, digits, places)
    run.fit(model, data, "student", **recipe.schedule(model, run.device))
    found |= recipe.keep(student, run)

    few = data.few(PER_CLASS, run.seed)
    _, known = heard(student, data.waves[few])
    _, features = heard(student, test.waves)
    found["pool5 acc@1"] = linear_accuracy(known, data.labels[few], features, test.labels)

    torch.manual_seed(run.seed)
    scratch: Any = recipe.build()
    labelled = LabelledWaves(data.waves[few], data.labels[few], scratch)
    options = {**recipe.schedule(scratch, run.device), "batch_size": 10}
    run.fit(scratch, labelled, "from_nothing", epochs=SCRATCH_EPOCHS, **options)
    found["from nothing acc@1"] = named(scratch, test)["by sound acc@1"]
    return found


RECIPE = Recipe(
    name="digits_soundnet",
    summary="SoundNet names digits by their sound, taught by pictures alone",
    data={
        "teachers": lambda: ClipsInMemory("train", LENGTHS["teachers"], seed=1),
        "train": lambda: ClipsInMemory("train", LENGTHS["train"]),
        "test": lambda: ClipsInMemory("test", LENGTHS["test"]),
    },
    build=build,
    epochs=8,
    schedule=lambda model, device: {
        "batch_size": 32,
        "optimizer": partial(adamw, lr=5e-3),
        "scheduler": one_cycle(0.2),
    },
    metrics=named,
    level=Level({}, on="nothing yet: private until a run was measured", runs="", date=""),
    stages=taught_by_pictures,
)
train, evaluate = RECIPE.train, RECIPE.evaluate
