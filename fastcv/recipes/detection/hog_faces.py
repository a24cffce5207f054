"""HOG and a linear SVM that finds faces.

scikit-image's 100 faces and 100 other patches of 25 x 25 pixels: 140 and their mirror images train,
60 are held out. Hard negatives are from eleven photographs without people. Descriptors are made on
the run's device; the SVM is solved on the CPU.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv._extras import need
from fastcv.models import Model, create_model, save_model
from fastcv.models.detection.hog_svm import HogSVM
from fastcv.recipes._recipe import Level, Recipe, Run

WEIGHTS = "hog_faces.safetensors"
SKIMAGE = (
    "coffee",
    "rocket",
    "brick",
    "grass",
    "gravel",
    "hubble_deep_field",
    "page",
    "text",
    "moon",
)
SKLEARN = ("china.jpg", "flower.jpg")
LONGER_SIDE = 400  # of the photographs, in pixels


def build() -> HogSVM:
    """The model, which knows nothing."""
    model = create_model("hog_svm", window_size=(25, 25), cell_size=5, scale_step=1.1)
    assert isinstance(model, HogSVM)
    model.classes = ("background", "face")
    return model


def patches(split: str) -> tuple[Tensor, Tensor]:
    """Patches ``[N, 3, 25, 25]`` in [0, 1], grey as RGB, and which are faces ``[N]``.

    Args:
        split: ``"train"`` (the first 70 faces and the first 70 others) or ``"test"`` (the rest).
    """
    grey = torch.from_numpy(need("skimage.data", extra="data").lfw_subset()).float()
    face = torch.arange(200) < 100
    part = (torch.arange(200) % 100 < 70) == (split == "train")
    return grey[part, None].expand(-1, 3, -1, -1), face[part]


def photographs() -> list[Tensor]:
    """Photographs without people, ``[3, H, W]`` in [0, 1]."""
    skimage, sklearn = (
        need(f"{name}", extra="data") for name in ("skimage.data", "sklearn.datasets")
    )
    found = [getattr(skimage, name)() for name in SKIMAGE]
    found += [sklearn.load_sample_image(name) for name in SKLEARN]
    return [_resized(np.asarray(pixels)) for pixels in found]


def _resized(pixels: np.ndarray[Any, Any]) -> Tensor:
    image = torch.from_numpy(np.atleast_3d(pixels).copy()).permute(2, 0, 1)[:3].float() / 255
    scale = min(1, LONGER_SIDE / max(image.shape[1:]))
    size = [round(side * scale) for side in image.shape[1:]]
    return F.interpolate(image[None], size, mode="bilinear", antialias=True)[0].expand(3, -1, -1)


def rounds_of_hard_negatives(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Solve the SVM, and again after each round: an epoch is a round."""
    windows, face = recipe.data["train"]()
    both_ways = torch.cat([windows, windows.flip(3)])
    model = recipe.build().to(run.device)
    assert isinstance(model, HogSVM)
    options = recipe.schedule(model, run.device)
    scenes = recipe.data["photographs"]()
    model.fit(both_ways, face.repeat(2), scenes, rounds=run.epochs, seed=run.seed, **options)
    weights = run.out / WEIGHTS
    save_model(weights, model)
    return recipe.evaluate(weights, device=run.device)


def accuracy(model: Model, patches: tuple[Tensor, Tensor]) -> dict[str, float]:
    """The share of patches that are told right."""
    assert isinstance(model, HogSVM)
    windows, face = patches
    with torch.no_grad():
        margin = model.svm(model.describe(windows.to(model.svm.weight)))[:, 0]
    return {"accuracy": ((margin.cpu() > 0) == face).float().mean().item()}


RECIPE = Recipe(
    name="hog_faces",
    summary="HOG and a linear SVM on scikit-image's faces",
    data={
        "train": partial(patches, "train"),
        "photographs": photographs,
        "test": partial(patches, "test"),
    },
    build=build,
    epochs=3,
    schedule=lambda model, device: {"c": 0.1},
    metrics=accuracy,
    level=Level(
        {"accuracy": 57 / 60},
        on="60 patches it never saw",
        runs="seed 0, one run",
        date="2026-11-26",
    ),
    stages=rounds_of_hard_negatives,
    no_weights="weights must be a file that train() wrote: none ship with this recipe",
)
train, evaluate = RECIPE.train, RECIPE.evaluate
