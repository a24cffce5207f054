"""Questions about drawn scenes, and the bias to the modality that is easy.

First a small CNN learns what is on the scenes, as the paper's VGG-19 knows ImageNet. It stays as it
is while three models learn to answer. The first learns from questions whose answers nobody could
guess, and must look. The second learns from questions that tell their answers nine times out of
ten, and looks less. The third learns from the same, but half of its pictures come without their
question: that is modality dropout, and it looks more.

A run has the weights ``scenes_vqa.safetensors``, ``scenes_vqa_leaky.safetensors`` and
``scenes_vqa_dropout.safetensors``, and ``shares.png``, bars of what each modality gives.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from fastcv.data import SceneQuestions
from fastcv.draw import draw_modality_shares
from fastcv.learn import freeze
from fastcv.metrics import evaluate_answers, modality_share, prior_accuracy
from fastcv.models import Model, create_model, save_model
from fastcv.recipes._recipe import NO_WEIGHTS, Level, Recipe, Run
from fastcv.recipes.language._asked_scenes import SMALL, AskedScenes, answerer, measure
from fastcv.recipes.language._scene_tags import SceneLabels, TagReader

LEAK = 0.9
CNN_EPOCHS = 2  # for one of questions
DROPPED = 0.5  # of the questions, by modality dropout


def build(**options: Any) -> Model:
    """The model, with random weights."""
    return create_model(
        "vqa_lstm_cnn",
        words=SceneQuestions.words,
        classes=SceneQuestions.answers,
        **SMALL,
        **options,
    )


def three(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Trains on balanced questions; on leaky ones; and on these with modality dropout."""
    sets = {name: make() for name, make in recipe.data.items()}
    found: dict[str, Any] = {}
    shares = {}
    torch.manual_seed(run.seed)
    first: Any = build()
    reader = TagReader(first)
    schedule = {**recipe.schedule(first, run.device), "collate_fn": reader.collate}
    run.fit(reader, SceneLabels(sets["train"]), "cnn", epochs=CNN_EPOCHS * run.epochs, **schedule)
    for name, data, options in (
        ("balanced", "train", {}),
        ("leaky", "leaky", {}),
        ("dropout", "leaky", {"drop_question": DROPPED}),
    ):
        torch.manual_seed(run.seed)
        model: Any = build(**options)
        model.image_encoder.load_state_dict(first.image_encoder.state_dict())
        freeze(model.image_encoder)
        run.fit(model, sets[data], name, **recipe.schedule(model, run.device))
        file = recipe.name if name == "balanced" else f"{recipe.name}_{name}"
        save_model(run.out / f"{file}.safetensors", model, half=True)
        test = sets["test" if name == "balanced" else "leaky test"]
        found |= {f"{name} {key}": value for key, value in recipe.metrics(model, test).items()}
        shares[name] = modality_share(model, test)
        if name != "balanced":
            right = evaluate_answers(model, sets["test"])["accuracy"]
            found[f"{name} on balanced"] = right
    for name, train, test in (("balanced", "train", "test"), ("leaky", "leaky", "leaky test")):
        prior = prior_accuracy(sets[train].pairs, sets[test].pairs)
        found |= {f"{name} by {key}": prior[key] for key in ("type", "question")}
    draw_modality_shares(shares, run.out / "shares.png")
    return found


RECIPE = Recipe(
    name="scenes_vqa",
    summary="questions about drawn scenes: balanced, leaky, with modality dropout",
    data={
        "train": partial(AskedScenes, "train", 3000),
        "test": partial(AskedScenes, "test", 400),
        "leaky": partial(AskedScenes, "train", 3000, LEAK),
        "leaky test": partial(AskedScenes, "test", 400, LEAK),
    },
    build=build,
    epochs=12,
    schedule=answerer,
    metrics=measure,
    level=Level(
        {
            "balanced accuracy": 0.709,
            "balanced other pictures": 0.258,
            "balanced other questions": 0.161,
            "leaky accuracy": 0.840,
            "leaky other pictures": 0.618,
            "leaky other questions": 0.220,
            "leaky on balanced": 0.448,
            "dropout accuracy": 0.760,
            "dropout other pictures": 0.410,
            "dropout other questions": 0.253,
            "dropout on balanced": 0.616,
            "balanced by type": 0.246,
            "balanced by question": 0.273,
            "leaky by type": 0.618,
            "leaky by question": 0.860,
        },
        on="2,400 questions about 400 scenes",
        runs="seed 0, one run",
        date="2026-12-01",
    ),
    stages=three,
    no_weights=NO_WEIGHTS.format("scenes_vqa.safetensors") + " as weights",
)
train, evaluate = RECIPE.train, RECIPE.evaluate
