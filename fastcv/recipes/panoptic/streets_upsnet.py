"""A small UPSNet on digits that lie on grass, brick and gravel: minutes on one core.

No scene has a name for sevens: they are drawn, and void. The unknown class is to find them.

Trunk and the box head's first layer are those of the detector that ships, and stay as they are;
pyramid, RPN and the box head's second layer begin as that detector's. What tells classes apart, the
masks and the semantic head begin at random. The detector has seen sevens, with their label: what it
said of classes is not taken, what it sees is.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch

from fastcv.data import DrawnStreets
from fastcv.draw import contact_sheet
from fastcv.learn import freeze
from fastcv.learn.schedules import adamw, fastest_precision, one_cycle
from fastcv.metrics import PanopticMetrics
from fastcv.models import Model, create_model, load_model
from fastcv.models._mode import evaluating
from fastcv.recipes._recipe import Level, Recipe
from fastcv.recipes.detection.digits_detector.recipe import WEIGHTS
from fastcv.results import Panoptic

WITHHELD = (7,)
TAKEN = ("backbone.", "rpn.", "roi_heads.box_head.")
FROZEN = ("backbone.body", "roi_heads.box_head.fc6")
streets = partial(
    DrawnStreets, size=(128, 128), max_digits=3, digit_size=(36.0, 72.0), withheld=WITHHELD
)
SHOWN = (1, 4, 8)  # scenes of the demo


def build() -> Model:
    """The model with the detector's layers."""
    detector = load_model(WEIGHTS)
    config = {key: value for key, value in detector.model_config.items() if key != "num_classes"}
    data = streets("train")
    model = create_model(
        "upsnet_resnet18_fpn",
        **{
            **config,
            "num_classes": len(data.classes),
            "num_stuff": data.num_stuff,
            "mask_channels": 32,
            "semantic_channels": 32,
            "rois_per_image": 32,
            "min_size": 128,
            "min_stuff_area": 128,
            "semantic_weight": 1.0,
            "panoptic_weight": 0.5,
        },
    )
    model.classes = data.classes
    taken = {key: x for key, x in detector.state_dict().items() if key.startswith(TAKEN)}
    model.load_state_dict(taken, strict=False)
    for part in FROZEN:
        freeze(model.get_submodule(part))
    return model


def schedule(model: Any, device: str) -> dict[str, Any]:
    """AdamW, a short rise and a long way down, averaged weights."""
    return {
        "batch_size": 4,
        "optimizer": partial(adamw, lr=1e-3),
        "scheduler": one_cycle(0.1),
        "precision": fastest_precision(device),
        "clip_norm": 10.0,
        "ema_decay": 0.99,
    }


def evaluate_streets(model: Any, data: DrawnStreets) -> dict[str, Any]:
    """Panoptic quality, and where there is void, with the unknown class and without.

    Args:
        model: a ``UPSNet`` of the data's classes.
        data: with withheld digits.

    Returns:
        As ``evaluate_panoptic``. ``void_withheld``: the share of the withheld digits' pixels that
        are void, which is to be high; ``void_others``: that of all other pixels, which is to be
        low. ``PQ_no_unknown``, ``void_withheld_no_unknown``, ``void_others_no_unknown``: the same
        outputs, with nothing unknown.
    """
    counts = {unknown: Void(data) for unknown in (True, False)}
    with evaluating(model), torch.inference_mode():
        for index in range(len(data)):
            image, target = data[index]
            output = model([model.as_float(image)])
            for unknown, count in counts.items():
                model.unknown = unknown
                (found,) = model.postprocess(output)
                count.add(found, target)
            model.unknown = True
    without = counts[False].compute()
    return {
        **counts[True].compute(),
        **{f"{k}_no_unknown": without[k] for k in ("PQ", "void_withheld", "void_others")},
    }


class Void:
    """Panoptic quality, and shares of void in withheld digits and elsewhere.

    Args:
        data: whose targets are counted.
    """

    def __init__(self, data: DrawnStreets) -> None:
        self.metrics = PanopticMetrics(data.classes, data.things)
        self.void, self.pixels = ({True: 0, False: 0} for _ in range(2))

    def add(self, found: Panoptic, target: dict[str, Any]) -> None:
        """Count a picture."""
        self.metrics.add(found, target["panoptic"])
        for withheld in (True, False):
            where = target["withheld"] == withheld
            self.void[withheld] += int((found.void & where).sum())
            self.pixels[withheld] += int(where.sum())

    def compute(self) -> dict[str, Any]:
        """All of ``PanopticMetrics.compute``, ``void_withheld`` and ``void_others``."""
        shares = {k: self.void[k] / max(self.pixels[k], 1) for k in (True, False)}
        return {
            **self.metrics.compute(),
            "void_withheld": shares[True],
            "void_others": shares[False],
        }


def show(model: Any, out: Path) -> None:
    """Scenes with sevens: what is there, and what is found."""
    data = streets("test")
    drawn = []
    for index in SHOWN:
        image, target = data[index]
        (found,) = model.predict(image)
        drawn += [target["panoptic"].draw(image), found.draw(image)]
    out.mkdir(parents=True, exist_ok=True)
    contact_sheet(drawn, 2).save(out / "streets.png")


RECIPE = Recipe(
    name="streets_upsnet",
    summary="UPSNet on digits and textures; an unknown class for sevens, which nobody named",
    data={
        "train": partial(streets, "train", length=800),
        "test": partial(streets, "test", length=80),
    },
    build=build,
    epochs=3,
    schedule=schedule,
    metrics=evaluate_streets,
    level=Level(
        {
            "PQ": 0.619,
            "PQ_things": 0.637,
            "PQ_stuff": 0.563,
            "void_withheld": 0.122,
            "void_others": 0.004,
            "PQ_no_unknown": 0.618,
        },
        on="80 scenes whose digits and parts of textures it never saw",
        runs="seed 0, one run",
        date="2026-11-30",
    ),
    show=show,
)
train, evaluate = RECIPE.train, RECIPE.evaluate
