"""Transfer: ten labels a class are few, but a body that knows other digits needs no more.

Source: the digits 0 to 4 on photographs, some 1500 images. Target: the digits 5 to 9, ten images
of each. The same network learns the target from nothing; as a new head on the source's frozen
body; and as a new head with the body at a lower learning rate. Held out: other scans
of digits on other photographs.
"""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Subset

from fastcv import augment
from fastcv.learn import fit, freeze, new_head, two_rates
from fastcv.metrics import evaluate_classifier
from fastcv.recipes.learn._small import (
    SmallResNet,
    adamw,
    digits_on_photographs,
    evaluate_weights,
    few_of_each,
    fit_options,
)

LENGTHS = {"source": 3000, "target": 400, "test": 1000}  # drawn, of all ten digits
PER_CLASS = 10
WIDTH = 12
SOURCE_EPOCHS = 15
EPOCHS = 60
SOURCE, TARGET = (0, 1, 2, 3, 4), (5, 6, 7, 8, 9)

AUGMENT = augment.Compose(
    augment.RandomAffine(angle=10, translate=0.1, scale=(0.9, 1.1), shear=0.1, fill=0.5),
    augment.Vary(augment.brightness, 0.7, 1.3),
    augment.Vary(augment.contrast, 0.7, 1.3),
    augment.Vary(augment.saturation, 0.5, 1.5),
)


def train(
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    epochs: int | None = None,
    device: str = "auto",
    workers: int = 0,
) -> dict[str, float]:
    """Train on the source, then on the target with and without it.

    Args:
        out: folder for the four runs; a call that was stopped goes on.
        seed: of weights, order, augmentation, and of which ten images.
        epochs: passes over the 50 images of the target; by default 60.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
        workers: processes that load data.

    Returns:
        the accuracies on held-out images of the target: from nothing, with a new head only, and
        fine-tuned.
    """
    source = digits_on_photographs("train", LENGTHS["source"], SOURCE)
    target = digits_on_photographs("train", LENGTHS["target"], TARGET)
    test = digits_on_photographs("test", LENGTHS["test"], TARGET)
    few = Subset(target, few_of_each(target, PER_CLASS, seed))

    torch.manual_seed(seed)
    body = SmallResNet(source, WIDTH)
    fit(
        body,
        source,
        epochs=SOURCE_EPOCHS,
        batch_size=32,
        out=Path(out, "source"),
        seed=seed,
        **fit_options(body, 4e-3, AUGMENT, device, workers),
    )

    torch.manual_seed(seed)
    scratch = SmallResNet(target, WIDTH)
    runs = {"from nothing": (scratch, fit_options(scratch, 3e-3, AUGMENT, device, workers))}

    frozen = copy.deepcopy(body)
    freeze(frozen)
    new_head(frozen, target.classes)
    runs["new head only"] = (frozen, fit_options(frozen, 1e-2, AUGMENT, device, workers))

    tuned = copy.deepcopy(body)
    head = new_head(tuned, target.classes)
    of_tuned = fit_options(tuned, 1e-2, AUGMENT, device, workers)
    of_tuned["optimizer"] = two_rates(head, adamw, head_lr=1e-2, body_lr=1e-3)
    runs["fine-tuned"] = (tuned, of_tuned)

    found = {}
    for name, (model, options) in runs.items():
        folder = Path(out, name.replace(" ", "_"))
        fit(model, few, epochs=epochs or EPOCHS, batch_size=10, out=folder, seed=seed, **options)
        found[f"{name} acc@1"] = evaluate_classifier(model, test)["acc@1"]
    return found


def evaluate(
    weights: str | os.PathLike[str] | None = None, *, device: str = "auto"
) -> dict[str, Any]:
    """Metrics of one of the target's models on held-out images.

    Args:
        weights: ``model.safetensors`` of one of the runs on the target, such as ``fine-tuned``.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.
    """
    test = digits_on_photographs("test", LENGTHS["test"], TARGET)
    return evaluate_weights(SmallResNet(test, WIDTH), weights, test, device)
