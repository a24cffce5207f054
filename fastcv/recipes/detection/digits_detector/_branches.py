"""The detector that ships with a branch beside it: only the branch learns."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastcv.data import DrawnDigits
from fastcv.learn import freeze
from fastcv.learn.schedules import adamw, one_cycle
from fastcv.models import Model, load_model
from fastcv.recipes._recipe import Level
from fastcv.recipes.detection._digits import digits_model
from fastcv.recipes.detection.digits_detector.recipe import WEIGHTS

SCENES = {
    "train": partial(DrawnDigits, "train", length=1200),
    "test": partial(DrawnDigits, "test", length=200),
}
EPOCHS = 6
FROZEN = ("backbone", "rpn", "roi_heads.box_head", "roi_heads.box_predictor")


def with_branch(name: str, **options: Any) -> Model:
    """A model of the detector's sizes and weights, whose branch starts at random.

    Args:
        name: such as ``"maskrcnn_resnet18_fpn"``.
        options: of its builder, beside the detector's.
    """
    detector = load_model(WEIGHTS)
    config = {key: value for key, value in detector.model_config.items() if key != "num_classes"}
    # Of 32 samples of an image a quarter are digits: those the branch learns from.
    model = digits_model(name, **{**config, "rois_per_image": 32, **options})
    model.load_state_dict(detector.state_dict(), strict=False)
    for part in FROZEN:
        freeze(model.get_submodule(part))
    return model


def schedule(model: Any, device: str) -> dict[str, Any]:
    """AdamW, a short rise and a long way down."""
    return {
        "batch_size": 8,
        "optimizer": partial(adamw, lr=2e-3),
        "scheduler": one_cycle(0.1),
        "clip_norm": 10.0,
    }


def reached(**metrics: float) -> Level:
    """The level of one run."""
    return Level(
        metrics,
        on="200 scenes whose digits and photographs it never saw",
        runs="seed 0, one run",
        date="2026-11-30",
    )
