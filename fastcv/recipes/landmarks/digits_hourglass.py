"""Two stacked hourglasses that find five points of a digit in its crop: minutes on two cores.

They learn from the digits of 900 scenes, each in a crop that is a little off, of 64 x 64
pixels. The test tells them the digits' boxes. Digits stand almost upright: the points turn with a
digit, and handwriting does not show how far it was turned.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from fastcv._files import replacing
from fastcv.classes import DIGIT_KEYPOINTS
from fastcv.data import DrawnDigits, KeypointCrops
from fastcv.draw import Canvas, contact_sheet
from fastcv.draw.skeleton import draw_skeleton
from fastcv.learn.schedules import adamw, one_cycle
from fastcv.metrics import evaluate_landmarks
from fastcv.models import create_model
from fastcv.models._mode import evaluating
from fastcv.models.landmarks.stacked_hourglass import STRIDE
from fastcv.recipes._recipe import Level, Recipe

CROP = 64  # pixels
MAX_ANGLE = 5.0  # degrees
SHOWN, ENLARGED = 4, 3


def training_crops() -> KeypointCrops:
    """The digits of the training scenes."""
    return KeypointCrops(DrawnDigits("train", length=900, max_angle=MAX_ANGLE), CROP, jitter=0.08)


def metrics(model: Any, data: Any) -> dict[str, Any]:
    """NME and PCK@.1 of the last stack, and the first one's NME."""
    first = evaluate_landmarks(model, data, stack=0)
    return {**evaluate_landmarks(model, data), "nme_of_stack_1": first["nme"]}


def schedule(model: Any, device: str) -> dict[str, Any]:
    """AdamW, a short rise and a long way down."""
    return {
        "batch_size": 32,
        "optimizer": partial(adamw, lr=4e-3),
        "scheduler": one_cycle(0.1),
    }


def show(model: Any, out: Path) -> None:
    """Write ``hourglasses.png``: the picture of ``stacks``."""
    with replacing(out / "hourglasses.png") as temporary:
        stacks(model).save(temporary)


def stacks(model: Any) -> Image.Image:
    """Crops that it never saw: a row each, with its key, then the heatmaps of each stack."""
    crops = KeypointCrops(DrawnDigits("test", length=6, max_angle=MAX_ANGLE), CROP)
    whole = [i for i in range(len(crops)) if (crops[i][1][1][:, 2] > 0).all()]
    rows = []
    for crop, (_, keypoints) in (crops[i] for i in whole[:SHOWN]):
        with evaluating(model), torch.inference_mode():
            output = model(crop[None])
        rows.append(_panel(crop, keypoints))
        for stack, heatmaps in enumerate(output[0]):
            points, _ = model.read(output, stack=stack)
            warm = heatmaps.amax(0).clamp(0, 1).repeat_interleave(STRIDE, 0)
            over = crop * 0.4 + 0.6 * warm.repeat_interleave(STRIDE, 1)
            rows.append(_panel(over, (points[0] + 0.5) * STRIDE))
    return contact_sheet(rows, 1 + output.shape[1])


def _panel(picture: Tensor, points: Tensor) -> Image.Image:
    pixels = (picture.clamp(0, 1) * 255).byte().permute(1, 2, 0).numpy()
    image = Image.fromarray(pixels).resize((CROP * ENLARGED, CROP * ENLARGED))
    canvas = Canvas(image, None)
    places = [(x * ENLARGED, y * ENLARGED) for x, y in points[:, :2].tolist()]
    draw_skeleton(canvas, places, DIGIT_KEYPOINTS.edge_indices, 1)
    return canvas.finish()


RECIPE = Recipe(
    name="digits_hourglass",
    summary="two stacked hourglasses of 24 channels on crops of digits",
    data={
        "train": training_crops,
        "test": partial(DrawnDigits, "test", length=150, max_angle=MAX_ANGLE),
    },
    build=partial(
        create_model,
        "stacked_hourglass_2",
        keypoints=DIGIT_KEYPOINTS,
        channels=24,
        crop_size=CROP,
    ),
    epochs=20,
    schedule=schedule,
    metrics=metrics,
    level=Level(
        {"nme": 0.051, "pck": 0.919, "nme_of_stack_1": 0.052},
        on="the digits of 150 scenes, none of which it saw, in boxes that it is told",
        runs="seed 0, one run",
        date="2026-11-30",
    ),
    show=show,
)
build, train, evaluate = RECIPE.build, RECIPE.train, RECIPE.evaluate
