"""The recipe, and what other recipes take of the weights that ship."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from torch import Tensor

from fastcv.models import load_model
from fastcv.recipes.detection._digits import digits_model, digits_recipe, reached
from fastcv.recipes.detection.digits_detector._demo import demo

WEIGHTS = Path(__file__).parent / "digits_detector.safetensors"

RECIPE = digits_recipe(
    name="digits_detector",
    summary="Faster R-CNN on a ResNet-18-FPN of half the width; its weights ship",
    build=partial(
        digits_model,
        "fasterrcnn_resnet18_fpn",
        width=32,
        fpn_channels=64,
        head_channels=256,
        rois_per_image=128,
        anchor_sizes=((16,), (24,), (32,), (48,), (64,)),
        min_size=192,
        max_size=320,
    ),
    epochs=4,
    level=reached(ap=0.748, ap50=0.956),
    ships=WEIGHTS,
    show=demo,
)


def trained_body() -> dict[str, Tensor]:
    """The weights of the ResNet-18 in the detector that ships.

    Other recipes start from them, where the papers start from a classifier of ImageNet.
    """
    return load_model(WEIGHTS).get_submodule("backbone.body").state_dict()
