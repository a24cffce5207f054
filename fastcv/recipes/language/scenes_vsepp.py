"""VSE++ on drawn scenes: pictures and sentences in one space, by the worst wrong pairs.

The CNN learns to classify scenes of one digit first: the paper's was trained on ImageNet. Then the
loss sums over all wrong pairs, and only at the end it takes the worst. Earlier that would put all
vectors in one place, where the worst pair is as near as the right one. ``scenes_vse`` is the same
with the sum to the end.

A run has ``cnn/``, ``warm/``, ``main/`` and the weights.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from fastcv.data.scene_text import TAGS, tags
from fastcv.learn.schedules import one_cycle
from fastcv.metrics import evaluate_retrieval
from fastcv.models import Model, create_model
from fastcv.recipes._recipe import NO_WEIGHTS, Level, Recipe, Run
from fastcv.recipes.language._cnn_first import learn_to_classify
from fastcv.recipes.language._scene_texts import PREPROCESSING, SceneTexts, analogies, words

WIDTH, EMBEDDING, WORD = 16, 128, 32
WARM = 0.65  # the share of the epochs that sum over all wrong pairs
LAST_LR = 5e-4  # of the others
THRESHOLDS = [i / 50 for i in range(50)]


def build(name: str = "vsepp_resnet18") -> Model:
    """A ResNet-18 of a quarter of the width and a GRU, with random weights."""
    model = create_model(
        name,
        width=WIDTH,
        embedding_size=EMBEDDING,
        word_size=WORD,
        words=words(),
        finetune=True,
    )
    model.preprocessing = PREPROCESSING
    return model


def schedule(model: Any, device: str) -> dict[str, Any]:
    return {
        "batch_size": 64,
        "optimizer": partial(torch.optim.Adam, lr=2e-3, fused=True),
        "scheduler": one_cycle(0.2),
        "clip_norm": 2.0,
    }


def three_stages(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Trains the CNN, then all with the sum, then all as the model's name has it; measures it."""
    torch.manual_seed(run.seed)
    model: Any = recipe.build()
    learn_to_classify(model, run)
    data = recipe.data["train"]()
    options = dict(recipe.schedule(model, run.device))
    of_name, model.max_violation = model.max_violation, False
    warm = max(1, round(WARM * run.epochs))
    run.fit(model, data, "warm", epochs=warm, **options)
    model.max_violation = of_name
    options["optimizer"] = partial(torch.optim.Adam, lr=LAST_LR, fused=True)
    run.fit(model, data, "main", epochs=max(1, run.epochs - warm), **options)
    return recipe.keep(model, run)


def measure(model: Any, test: SceneTexts) -> dict[str, float]:
    """Retrieval both ways, analogies, and sets of tags."""
    pictures = model.index_images(list(test.images), batch_size=64)
    texts, owner = test.every_caption()
    found = evaluate_retrieval(pictures.vectors, model.embed_texts(texts), owner)
    found |= measure_analogies(model, test, pictures)
    found |= measure_tags(model, test, pictures.vectors)
    return found


def measure_analogies(model: Any, test: SceneTexts, pictures: Any) -> dict[str, float]:
    """How often the nearest picture has the digit that was asked for, and the same background."""
    asked = analogies(test.scenes)
    digit = background = 0
    less = model.embed_texts([minus for _, minus, _ in asked])
    more = model.embed_texts([plus for _, _, plus in asked])
    vectors = pictures.vectors[[i for i, _, _ in asked]] - less + more
    _, nearest = model.rank(vectors, pictures.vectors, 1)
    for (i, _, plus), best in zip(asked, nearest[:, 0].tolist(), strict=True):
        scene = test.scenes[best]
        digit += any(one.word == plus for one in scene.digits)
        background += scene.background == test.scenes[i].background
    return {
        "analogy digit": digit / max(1, len(asked)),
        "analogy background": background / max(1, len(asked)),
    }


def measure_tags(model: Any, test: SceneTexts, vectors: Tensor) -> dict[str, float]:
    """The share of scenes whose set of tags is exact, at the best threshold on half of them."""
    scores = vectors @ model.embed_texts(TAGS).T
    truth = torch.tensor([[tag in tags(scene) for tag in TAGS] for scene in test.scenes])
    half = len(truth) // 2
    scores = scores.cpu()
    exact = [((scores[:half] >= t) == truth[:half]).all(1).double().mean() for t in THRESHOLDS]
    best = THRESHOLDS[int(torch.stack(exact).argmax())]
    right = (scores[half:] >= best) == truth[half:]
    return {
        "tag threshold": best,
        "exact tags": right.all(1).double().mean().item(),
        "right tags": right.double().mean().item(),
    }


RECIPE = Recipe(
    name="scenes_vsepp",
    summary="VSE++ on drawn scenes: search both ways, tags, analogies of pictures",
    data={
        "train": partial(SceneTexts, "train", 4000),
        "test": partial(SceneTexts, "test", 500),
    },
    build=build,
    epochs=16,
    schedule=schedule,
    metrics=measure,
    level=Level({}, "", "", ""),
    stages=three_stages,
    no_weights=NO_WEIGHTS.format("scenes_vsepp.safetensors") + " as weights",
)
train, evaluate = RECIPE.train, RECIPE.evaluate
