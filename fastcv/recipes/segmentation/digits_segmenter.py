"""A small DeepLab v3+ that says of each pixel which handwritten digit it belongs to.

``DrawnDigits`` as label maps, scenes of 64 x 64 pixels with 1 to 3 digits. Of 6000 that train,
brightness, contrast and colour vary. Seven minutes on two cores.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from fastcv import augment
from fastcv.data import DrawnDigits, LabelMaps
from fastcv.learn import normalised_batches
from fastcv.learn.schedules import adamw, one_cycle
from fastcv.metrics import evaluate_segmenter
from fastcv.models.segmentation._segmenter import Segmenter
from fastcv.models.segmentation.deeplab_v3_plus import DeepLabV3PlusResNet
from fastcv.recipes._recipe import NO_WEIGHTS, Level, Recipe

LENGTHS = {"train": 6000, "val": 60, "test": 500}

# Photographs are few; in other colours and another light they are more.
AUGMENT = augment.Compose(
    augment.Vary(augment.brightness, 0.7, 1.3),
    augment.Vary(augment.contrast, 0.7, 1.3),
    augment.Vary(augment.saturation, 0.5, 1.5),
)


def scenes(split: str) -> LabelMaps:
    """The images of a split and their label maps."""
    return LabelMaps(
        DrawnDigits(
            split,
            size=(64, 64),
            length=LENGTHS[split],
            max_digits=3,
            digit_size=(24, 42),
        )
    )


def build() -> Segmenter:
    """The model with random weights."""
    classes = len(DrawnDigits.classes)
    model = DeepLabV3PlusResNet(
        18,
        num_classes=classes,
        output_stride=8,
        atrous_rates=(2, 4, 6),  # of maps of 8 x 8
        decoder_channels=64,
        width=32,
    )
    model.classes = DrawnDigits.classes
    model.loss_terms = ("cross_entropy", "dice")  # digits are small beside the background
    return model


def schedule(model: Any, device: str) -> dict[str, Any]:
    """AdamW, one cycle, images normalised and in varying light."""
    return {
        "batch_size": 16,
        "optimizer": partial(adamw, lr=2e-3),
        "scheduler": one_cycle(0.2),
        "collate_fn": normalised_batches(model, AUGMENT),
    }


RECIPE = Recipe(
    name="digits_segmenter",
    summary="DeepLab v3+ on a ResNet-18 of half the width; cross-entropy and Dice",
    data={split: partial(scenes, split) for split in LENGTHS},
    build=build,
    epochs=6,
    schedule=schedule,
    metrics=evaluate_segmenter,
    level=Level(
        {"miou": 0.643, "boundary_f": 0.357, "pixel_acc": 0.942},
        on="500 scenes whose digits and photographs it never saw",
        runs="seed 0, one run",
        date="2026-11-26",
    ),
    no_weights=NO_WEIGHTS.format("model.safetensors"),
)
train, evaluate = RECIPE.train, RECIPE.evaluate
