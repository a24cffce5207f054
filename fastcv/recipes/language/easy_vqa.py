"""easy-VQA: questions about coloured shapes that are not ours.

The data are those of the Python package ``easy-vqa``: `pip install --no-deps easy-vqa==1.0`.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from fastcv.data import EasyVQA
from fastcv.metrics import prior_accuracy
from fastcv.models import Model, create_model
from fastcv.recipes._recipe import NO_WEIGHTS, Level, Recipe
from fastcv.recipes.language._asked_scenes import SMALL, answerer, measure

COLOURS = ("black", "blue", "brown", "gray", "green", "red", "teal", "yellow")
SHAPES = ("circle", "rectangle", "triangle")
ANSWERS = (*COLOURS, *SHAPES, "no", "yes")
WORDS = (
    *("what", "is", "does", "a", "the", "color", "shape", "of", "in", "there", "image"),
    *("contain", "present", "no", "not", "?"),
    *COLOURS,
    *SHAPES,
)


def build() -> Model:
    """The model, with random weights."""
    return create_model("vqa_lstm_cnn", words=WORDS, classes=ANSWERS, **SMALL)


def with_prior(model: Any, test: EasyVQA) -> dict[str, float]:
    """``measure``, and how many questions are answered by the question alone."""
    train = [(one.question, one.answer) for one in EasyVQA("train").asked]
    prior = prior_accuracy(train, [(one.question, one.answer) for one in test.asked])
    return {**measure(model, test), "by type": prior["type"], "by question": prior["question"]}


RECIPE = Recipe(
    name="easy_vqa",
    summary="easy-VQA's questions about coloured shapes (pip install easy-vqa)",
    data={
        "train": partial(EasyVQA, "train", by_picture=True),
        "test": partial(EasyVQA, "test", by_picture=True),
    },
    build=build,
    epochs=6,
    schedule=answerer,
    metrics=with_prior,
    level=Level(
        {
            "accuracy": 0.879,
            "other pictures": 0.668,
            "other questions": 0.310,
            "by type": 0.485,
            "by question": 0.670,
        },
        on="the 9,673 questions of its test split",
        runs="seed 0, one run",
        date="2026-12-01",
    ),
    no_weights=NO_WEIGHTS.format("easy_vqa.safetensors") + " as weights",
)
train, evaluate = RECIPE.train, RECIPE.evaluate
