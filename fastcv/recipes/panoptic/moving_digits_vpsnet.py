"""A small VPSNet on clips of digits that move fast on grass, brick and gravel.

Trunk, pyramid, RPN and box head begin as those of the detector that ships, which knows digits; the
trunk and the box head's first layer stay as they are. The rest begins at random. All learn from
pairs of frames whose flow and ids are known.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv.data import MovingStreets, flow_between
from fastcv.draw import contact_sheet
from fastcv.learn import freeze, two_rates
from fastcv.learn.schedules import adamw, fastest_precision, one_cycle
from fastcv.metrics import VideoPanopticMetrics
from fastcv.models import Model, create_model, load_model
from fastcv.models._mode import evaluating
from fastcv.recipes._recipe import Level, Recipe
from fastcv.recipes.detection.digits_detector.recipe import WEIGHTS
from fastcv.results import Panoptic

TAKEN = ("backbone.", "rpn.", "roi_heads.")  # its classes are the things here, in their order
FROZEN = ("backbone.body", "roi_heads.box_head.fc6")
PAIRS, SHOWN = 900, 0  # to learn from; the clip of the demo
SIDE = 128  # of the frames, in pixels
# In three of eight steps a digit's box hardly overlaps the one before.
streets = partial(
    MovingStreets,
    size=(SIDE, SIDE),
    frames=5,
    digit_size=(32.0, 64.0),
    max_speed=24.0,
    max_pan=4.0,
)


class StreetPairs(Dataset[tuple[Tensor, dict[str, Any]]]):
    """The first and the last frame of each clip, ``[2, 3, H, W]``, and the last one's target.

    With it come ``earlier_boxes`` and ``earlier_ids`` of the first frame, and ``flow`` to it.
    """

    def __init__(self, clips: MovingStreets) -> None:
        self.clips, self.classes = clips, clips.classes

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        frames, targets = self.clips[index]
        first, last = targets[0], targets[-1]
        of_first = {"earlier_boxes": first["boxes"], "earlier_ids": first["ids"]}
        return frames[[0, -1]], {**last, **of_first, "flow": flow_between(last, first)}


def evaluate_video(model: Any, clips: MovingStreets) -> dict[str, float]:
    """Video panoptic quality, and how often an object's id changes.

    Args:
        model: a ``VPSNet``.
        clips: to test on.

    Returns:
        ``VPQ``, ``VPQ_things``, ``VPQ_stuff``, ``VPQ1`` to ``VPQ4`` by the window's frames, and
        ``id_switches``; ``boxes_VPQ`` and ``boxes_id_switches`` where boxes alone tell which
        objects are the same, without the track head; ``objects``, how many there are in the clips.
    """
    with_head, by_boxes = (_measured(model, clips, track=track) for track in (True, False))
    objects = sum(len(targets[0]["ids"]) for _, targets in (clips[i] for i in range(len(clips))))
    names = ("VPQ", "VPQ_things", "VPQ_stuff", "VPQ1", "VPQ2", "VPQ3", "VPQ4", "id_switches")
    return {
        **{name: with_head[name] for name in names},
        "boxes_VPQ": by_boxes["VPQ"],
        "boxes_id_switches": by_boxes["id_switches"],
        "objects": objects,
    }


def _measured(model: Any, clips: MovingStreets, *, track: bool) -> dict[str, Any]:
    metrics = VideoPanopticMetrics(clips.classes, clips.things)
    with evaluating(model), torch.inference_mode():
        for index in range(len(clips)):
            frames, targets = clips[index]
            metrics.add(
                found=_frame_by_frame(model, frames, track=track),
                targets=[target["panoptic"] for target in targets],
            )
    return metrics.compute()


def _frame_by_frame(model: Any, frames: Tensor, *, track: bool) -> Iterator[Panoptic]:
    state = None
    for frame in frames:
        found, state = model.predict_frame(frame, state, track=track)
        yield found


def build() -> Model:
    """The model with the detector's layers."""
    detector = load_model(WEIGHTS)
    config = {key: value for key, value in detector.model_config.items() if key != "num_classes"}
    model = create_model(
        "vpsnet_resnet18_fpn",
        **{
            **config,
            "num_classes": len(MovingStreets.classes),
            "num_stuff": MovingStreets.num_stuff,
            "mask_channels": 32,
            "semantic_channels": 32,
            "rois_per_image": 32,
            "min_stuff_area": 128,
            "min_size": SIDE,
            "max_size": SIDE,
        },
    )
    model.classes = MovingStreets.classes
    taken = {key: x for key, x in detector.state_dict().items() if key.startswith(TAKEN)}
    model.load_state_dict(taken, strict=False)
    for part in FROZEN:
        freeze(model.get_submodule(part))
    return model


def schedule(model: Any, device: str) -> dict[str, Any]:
    """AdamW, a short rise and a long way down, averaged weights.

    The track head is slower: its products are of 256 numbers, and large ones cost much where wrong.
    """
    return {
        "batch_size": 2,
        "optimizer": two_rates(model.track_head, adamw, head_lr=1e-4, body_lr=1e-3),
        "scheduler": one_cycle(0.1),
        "precision": fastest_precision(device),
        "clip_norm": 10.0,
        "ema_decay": 0.99,
    }


def show(model: Any, out: Path) -> None:
    """Frames of a clip with what is found; an object has its colour in all of them."""
    frames, _ = streets("test")[SHOWN]
    found = list(model.predict_video(frames))
    drawn = [result.draw(frame) for frame, result in found]
    out.mkdir(parents=True, exist_ok=True)
    contact_sheet(drawn, len(drawn)).save(out / "clip.png")


RECIPE = Recipe(
    name="moving_digits_vpsnet",
    summary="VPSNet on clips of digits that move fast on grass, brick and gravel",
    data={
        "train": lambda: StreetPairs(streets("train", frames=2, length=PAIRS)),
        "test": partial(streets, "test", length=30),
    },
    build=build,
    epochs=1,
    schedule=schedule,
    metrics=evaluate_video,
    level=Level(
        {"VPQ": 0.461, "VPQ_things": 0.457, "VPQ_stuff": 0.476, "boxes_VPQ": 0.322},
        on="30 clips of 5 frames whose digits and pieces of ground it never saw",
        runs="seed 0, one run",
        date="2026-12-01",
    ),
    show=show,
)
train, evaluate = RECIPE.train, RECIPE.evaluate
