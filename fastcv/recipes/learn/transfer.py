"""Transfer: ten labels a class are few, but a body that knows other digits needs no more.

Source: the digits 0 to 4 on photographs, some 1500 images. Target: the digits 5 to 9, ten images
of each. The same network learns the target from nothing; as a new head on the source's frozen
body; and as a new head with the body at a lower learning rate. Held out: other scans
of digits on other photographs.

A run has ``fine-tuned/model.safetensors``, and the same of ``from_nothing`` and ``new_head_only``.
"""

from __future__ import annotations

import copy
from functools import partial
from typing import Any

import torch
from torch.utils.data import Subset

from fastcv import augment
from fastcv.learn import freeze, new_head, two_rates
from fastcv.learn.schedules import adamw
from fastcv.metrics import evaluate_classifier
from fastcv.recipes._recipe import Recipe, Run
from fastcv.recipes.learn._small import (
    PHOTOGRAPH,
    SmallImages,
    SmallResNet,
    digits_on_photographs,
    few_of_each,
    mean_of_three,
    small_classifier,
    small_recipe,
)

LENGTHS = {"source": 3000, "target": 400, "test": 1000}  # drawn, of all ten digits
PER_CLASS = 10
WIDTH = 12
SOURCE_EPOCHS = 15
SOURCE, TARGET = (0, 1, 2, 3, 4), (5, 6, 7, 8, 9)

AUGMENT = augment.Compose(
    augment.RandomAffine(angle=10, translate=0.1, scale=(0.9, 1.1), shear=0.1, fill=0.5),
    augment.Vary(augment.brightness, 0.7, 1.3),
    augment.Vary(augment.contrast, 0.7, 1.3),
    augment.Vary(augment.saturation, 0.5, 1.5),
)


def network(digits: tuple[int, ...]) -> SmallResNet:
    """A network with random weights."""
    return SmallResNet(tuple(map(str, digits)), PHOTOGRAPH, WIDTH)


def photographs(split: str, part: str, digits: tuple[int, ...]) -> SmallImages:
    return digits_on_photographs(split, LENGTHS[part], digits)


def with_and_without_a_source(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Train on the source, then on the target without and with it.

    Returns:
        The accuracies on held-out images of the target: from nothing, with a new head only, and
        fine-tuned.
    """
    source, target, test = (recipe.data[part]() for part in ("source", "train", "test"))
    few = Subset(target, few_of_each(target, PER_CLASS, run.seed))

    def schedule(model: SmallResNet, **settings: Any) -> dict[str, Any]:
        return small_classifier(model, run.device, augment=AUGMENT, **settings)

    torch.manual_seed(run.seed)
    body = network(SOURCE)
    run.fit(body, source, "source", epochs=SOURCE_EPOCHS, **schedule(body, lr=4e-3, batch_size=32))

    torch.manual_seed(run.seed)
    scratch = recipe.build()
    runs = {"from nothing": (scratch, dict(recipe.schedule(scratch, run.device)))}

    frozen = copy.deepcopy(body)
    freeze(frozen)
    new_head(frozen, target.classes)
    runs["new head only"] = (frozen, schedule(frozen, lr=1e-2, batch_size=10))

    tuned = copy.deepcopy(body)
    head = new_head(tuned, target.classes)
    rates = two_rates(head, adamw, head_lr=1e-2, body_lr=1e-3)
    runs["fine-tuned"] = (tuned, {**schedule(tuned, lr=1e-2, batch_size=10), "optimizer": rates})

    found = {}
    for name, (model, options) in runs.items():
        run.fit(model, few, name.replace(" ", "_"), **options)
        found[f"{name} acc@1"] = evaluate_classifier(model, test)["acc@1"]
    return found


RECIPE = small_recipe(
    name="transfer",
    summary="ten labels a digit on photographs, without and with other digits before",
    data={
        "source": partial(photographs, "train", "source", SOURCE),
        "train": partial(photographs, "train", "target", TARGET),
        "test": partial(photographs, "test", "test", TARGET),
    },
    build=lambda: network(TARGET),
    epochs=60,
    schedule=partial(small_classifier, lr=3e-3, batch_size=10, augment=AUGMENT),
    level=mean_of_three(
        "476 images of other scans on other photographs",
        from_nothing=0.217,
        new_head_only=0.361,
        **{"fine-tuned": 0.536},
    ),
    stages=with_and_without_a_source,
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
