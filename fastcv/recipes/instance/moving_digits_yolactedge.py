"""A small YolactEdge on clips of digits: minutes on two cores.

It learns from pairs of frames whose flow is known. Its trunk is that of the detector that ships,
which knows digits, and stays as it is; pyramid, prototypes, head and flow net learn.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset

from fastcv.data import MovingDigits, detection_to_coco, flow_between
from fastcv.learn import freeze
from fastcv.learn.schedules import adamw, fastest_precision, one_cycle
from fastcv.metrics import coco_metrics
from fastcv.models import Model, load_model
from fastcv.recipes._recipe import Level, Recipe
from fastcv.recipes.detection._digits import digits_model
from fastcv.recipes.detection.digits_detector.recipe import WEIGHTS

INTERVAL = 5  # from key frame to key frame, where it is measured
SHOWN, SURE = 0, {"score_threshold": 0.4}  # what the demo draws
# Two frames that are as far apart as four of a clip.
far_apart = partial(MovingDigits, frames=2, max_speed=20.0, max_pan=7.0)


class FramePairs(Dataset[tuple[Tensor, dict[str, Any]]]):
    """The first and the last frame of each clip, ``[2, 3, H, W]``, and the last one's target.

    With it comes ``flow``, from the last frame to the first.
    """

    def __init__(self, clips: MovingDigits) -> None:
        self.clips, self.classes = clips, clips.classes

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> tuple[Tensor, dict[str, Any]]:
        frames, targets = self.clips[index]
        flow = flow_between(targets[-1], targets[0])
        return frames[[0, -1]], {**targets[-1], "flow": flow}


@dataclass(frozen=True)
class _Rows:
    """A result as COCO's rows; as masks those of all frames would not fit."""

    rows: list[dict[str, Any]]

    def to_coco(self, image_id: int) -> list[dict[str, Any]]:
        return [{**row, "image_id": image_id} for row in self.rows]


class _Frames(list[tuple[Tensor, dict[str, Any]]]):
    classes: Sequence[str] = MovingDigits.classes


def evaluate_video(
    model: Any, clips: MovingDigits, *, keyframe_interval: int = INTERVAL
) -> dict[str, float]:
    """Frames between key frames, beside the same frames worked out in full.

    Args:
        model: a ``YolactEdge``.
        clips: to test on.
        keyframe_interval: from key frame to key frame.

    Returns:
        ``AP``, ``AP50`` of the masks of frames between; ``frame_AP`` of the same frames in full,
        ``share``, the ratio of the two; ``ms`` and ``frame_ms``, the milliseconds that a frame
        takes in either way, medians, and ``speed_up``, their ratio.
    """
    truth, between, full = _Frames(), [], []
    ms: dict[bool, list[float]] = {True: [], False: []}
    options = {"keyframe_interval": keyframe_interval, "max_detections": 20}
    model.eval()
    for index in range(len(clips)):
        frames, targets = clips[index]
        state = None
        for t, (frame, target) in enumerate(zip(frames, targets, strict=True)):
            found, state, took = _timed(model, frame, state, options)
            if t % keyframe_interval == 0:
                continue
            alone, _, took_alone = _timed(model, frame, None, options)
            ms[False].append(took)
            ms[True].append(took_alone)
            truth.append((frame, target))
            between.append(_Rows(found.to_coco(0)))
            full.append(_Rows(alone.to_coco(0)))
    expected = detection_to_coco(truth, masks=True)
    moved, of_frame = (coco_metrics(expected, rows, iou_type="segm") for rows in (between, full))
    middle = {key: sorted(values)[len(values) // 2] for key, values in ms.items()}
    return {
        "AP": moved["AP"],
        "AP50": moved["AP50"],
        "frame_AP": of_frame["AP"],
        "share": moved["AP"] / max(of_frame["AP"], 1e-9),
        "ms": middle[False],
        "frame_ms": middle[True],
        "speed_up": middle[True] / middle[False],
    }


def _timed(
    model: Any, frame: Tensor, state: Any, options: dict[str, Any]
) -> tuple[Any, Any, float]:
    start = time.perf_counter()
    with torch.inference_mode():
        found, state = model.predict_frame(frame, state, **options)
    return found, state, 1e3 * (time.perf_counter() - start)


def build() -> Model:
    """The model, with the detector's trunk, frozen; the rest is random."""
    model = digits_model(
        "yolactedge_resnet18",
        width=32,
        channels=48,
        prototypes=16,
        size=192,
        scales=(24, 40, 56, 72, 96),
        flow_channels=32,
    )
    trunk = load_model(WEIGHTS).get_submodule("backbone.body")
    backbone = model.get_submodule("backbone")
    backbone.load_state_dict(trunk.state_dict())
    freeze(backbone)
    return model


def schedule(model: Any, device: str) -> dict[str, Any]:
    """AdamW, a short rise and a long way down, averaged weights."""
    return {
        "batch_size": 4,
        "optimizer": partial(adamw, lr=2e-3),
        "scheduler": one_cycle(0.1),
        "precision": fastest_precision(device),
        "clip_norm": 10.0,
        "ema_decay": 0.99,
    }


def show(model: Any, out: Path) -> None:
    """Frames of a clip with what is found, and how the net says that they have moved."""
    from fastcv.draw import contact_sheet, flow_picture

    frames, _ = MovingDigits("test")[SHOWN]
    frames = frames[: INTERVAL + 1]
    found = [
        result for _, result in model.predict_video(frames, keyframe_interval=INTERVAL, **SURE)
    ]
    with torch.inference_mode():
        flows = [model.flow(frame, frames[0]) for frame in frames]
    drawn = [result.draw() for result in found]
    moved = [flow_picture(flow, max_length=20).resize(drawn[0].size) for flow in flows]
    out.mkdir(parents=True, exist_ok=True)
    contact_sheet([*drawn, *moved], len(frames)).save(out / "clip.png")


RECIPE = Recipe(
    name="moving_digits_yolactedge",
    summary="YolactEdge on clips of digits: coarse features moved from key frames",
    data={
        "train": lambda: FramePairs(far_apart("train", length=1800)),
        "test": partial(MovingDigits, "test", length=20),
    },
    build=build,
    epochs=1,
    schedule=schedule,
    metrics=evaluate_video,
    level=Level(
        {"AP": 0.117, "AP50": 0.240, "frame_AP": 0.096},
        on="20 clips whose digits and photographs it never saw",
        runs="seed 0, one run",
        date="2026-11-30",
    ),
    show=show,
)
train, evaluate = RECIPE.train, RECIPE.evaluate
