"""VSE++ on drawn scenes: pictures and sentences in one space, by the worst wrong pairs.

The CNN learns first what is in cells of scenes: the paper's was trained on ImageNet. Then the
loss sums over all wrong pairs, and only at the end it takes the worst. Earlier that would put all
vectors in one place, where the worst pair is as near as the right one. ``scenes_vse`` is the same
with the sum to the end.

A run has ``cnn/``, ``warm/``, ``main/`` and the weights.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor

from fastcv.data.drawn_scenes import DIGITS
from fastcv.data.scene_text import TAGS, tags
from fastcv.learn.schedules import one_cycle
from fastcv.metrics import evaluate_retrieval
from fastcv.models import Model, create_model
from fastcv.recipes._recipe import NO_WEIGHTS, Level, Recipe, Run
from fastcv.recipes.language._cnn_first import learn_to_see
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
        small_pictures=True,
        embedding_size=EMBEDDING,
        word_size=WORD,
        words=words(),
        finetune=True,
    )
    model.preprocessing = PREPROCESSING
    return model


def schedule(model: Any, device: str) -> dict[str, Any]:
    """Adam at ten times the published rate, for there are few steps; the published clipping."""
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
    learn_to_see(model.cnn, model.cnn.out_channels[-1], run)
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
    """Retrieval both ways, analogies of digits and of colours, and tags."""
    pictures = model.index_images(list(test.images), batch_size=64)
    texts, owner = test.every_caption()
    found = evaluate_retrieval(pictures.vectors, model.embed_texts(texts), owner)
    found |= measure_analogies(model, test, pictures.vectors, "digit")
    found |= measure_analogies(model, test, pictures.vectors, "colour")
    found |= measure_tags(model, test, pictures.vectors)
    return found


def measure_analogies(
    model: Any, test: SceneTexts, vectors: Tensor, kind: Literal["digit", "colour"]
) -> dict[str, float]:
    """How often the nearest picture has what was asked for, and how often the same background."""
    asked = analogies(test.scenes, kind)
    less = model.embed_texts([minus for _, minus, _ in asked])
    more = model.embed_texts([plus for _, _, plus in asked])
    which = [i for i, _, _ in asked]
    _, nearest = model.rank(vectors[which] - less + more, vectors, 1)
    found = [test.scenes[best] for best in nearest[:, 0].tolist()]
    has = [plus in tags(scene) for scene, (_, _, plus) in zip(found, asked, strict=True)]
    same = [a.background == test.scenes[i].background for a, i in zip(found, which, strict=True)]
    return {
        f"analogy of {kind}": sum(has) / len(has),
        f"analogy of {kind}, background": sum(same) / len(same),
    }


def measure_tags(model: Any, test: SceneTexts, vectors: Tensor) -> dict[str, float]:
    """Tags at the threshold that is right most often on the first half, on the second half."""
    scores = (vectors @ model.embed_texts(TAGS).T).cpu()
    truth = torch.tensor([[tag in tags(scene) for tag in TAGS] for scene in test.scenes])
    half = len(truth) // 2
    shares = [((scores[:half] >= t) == truth[:half]).double().mean() for t in THRESHOLDS]
    best = THRESHOLDS[int(torch.stack(shares).argmax())]
    right = (scores[half:] >= best) == truth[half:]
    seen = torch.tensor([tag not in DIGITS for tag in TAGS])
    return {
        "tag threshold": best,
        "right tags": right.double().mean().item(),
        "exact tags": right.all(1).double().mean().item(),
        "exact colours and background": right[:, seen].all(1).double().mean().item(),
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
    level=Level(
        {
            "image to text R@1": 0.814,
            "image to text R@5": 0.984,
            "image to text R@10": 0.994,
            "image to text MedR": 1.0,
            "text to image R@1": 0.835,
            "text to image R@5": 0.989,
            "text to image R@10": 0.997,
            "text to image MedR": 1.0,
            "analogy of digit": 0.918,
            "analogy of digit, background": 0.825,
            "analogy of colour": 1.0,
            "analogy of colour, background": 0.912,
            "right tags": 0.961,
            "exact tags": 0.432,
            "exact colours and background": 0.784,
        },
        "500 scenes whose handwriting and photographs it never saw",
        "seed 0, one run",
        "2026-12-01",
    ),
    stages=three_stages,
    no_weights=NO_WEIGHTS.format("scenes_vsepp.safetensors") + " as weights",
)
train, evaluate = RECIPE.train, RECIPE.evaluate
