"""HOG and a linear SVM that finds faces.

Data: scikit-image's 100 faces and 100 other patches of 25 x 25 pixels, of which 140 and their
mirror images train; hard negatives from eleven photographs without people. Level: at least 0.93 of
the 60 held-out patches right.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv._extras import need
from fastcv.models import Model, create_model, load_model, save_model
from fastcv.models.detection.hog_svm import HogSVM
from fastcv.recipes._device import device_named

WEIGHTS = "hog_faces.safetensors"
ROUNDS = 3
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


def train(
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    epochs: int | None = None,
    device: str = "auto",
    workers: int = 0,
) -> dict[str, float]:
    """Train from nothing.

    Args:
        out: folder; ``hog_faces.safetensors`` in it is the result.
        seed: of the solver.
        epochs: rounds of hard negatives; by default 3.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``: where descriptors are made; the SVM is solved
            on the CPU.
        workers: for the recipes' common signature; there is nothing to load.

    Returns:
        what ``evaluate`` found.
    """
    windows, face = patches("train")
    both_ways = torch.cat([windows, windows.flip(3)])
    model = build().to(device_named(device))
    model.fit(both_ways, face.repeat(2), photographs(), rounds=epochs or ROUNDS, seed=seed)
    weights = Path(out) / WEIGHTS
    save_model(weights, model)
    return evaluate(weights, device=device)


def evaluate(
    weights: str | os.PathLike[str] | None = None, *, device: str = "auto"
) -> dict[str, Any]:
    """The share of held-out patches that are told right.

    Args:
        weights: a file that ``train`` wrote.
        device: ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Raises:
        ValueError: no weights; none ship.
    """
    if weights is None:
        raise ValueError("weights must be a file that train() wrote: none ship with this recipe")
    return {"accuracy": accuracy(load_model(weights).to(device_named(device)))}


@torch.no_grad()
def accuracy(model: Model) -> float:
    """Of the 60 held-out patches."""
    assert isinstance(model, HogSVM)
    windows, face = patches("test")
    margin = model.svm(model.describe(windows.to(model.svm.weight)))[:, 0]
    return ((margin.cpu() > 0) == face).float().mean().item()
