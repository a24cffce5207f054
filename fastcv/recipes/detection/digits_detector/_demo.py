"""The detector that ships, on scenes it never saw: a picture, what it found, where time goes."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from fastcv import ops
from fastcv._files import replacing
from fastcv.data import DrawnDigits
from fastcv.draw import contact_sheet
from fastcv.models import load_model
from fastcv.recipes.detection.digits_detector.recipe import WEIGHTS
from fastcv.results import Detections

SCENES = (5, 12, 18, 21, 33, 40)
COLUMNS = 3
ENLARGED = 2  # digits of 20 pixels are hard to look at
LEAST_SCORE = 0.7


def demo(out: str | os.PathLike[str]) -> None:
    """Find digits on six held-out scenes, print what was found and write a picture.

    Args:
        out: a folder; the picture is ``digits.png`` in it.
    """
    scenes = DrawnDigits("test")
    images, targets = zip(*(scenes[i] for i in SCENES), strict=True)
    model = load_model(WEIGHTS)
    model.predict(images[0])  # so that no time of a first call is counted
    start = time.perf_counter()
    with stage_times(model) as times:
        found = model.predict(list(images), score_threshold=LEAST_SCORE)
    total = time.perf_counter() - start

    right = true = extra = 0
    for number, detections, target in zip(SCENES, found, targets, strict=True):
        hits = matches(detections, target)
        names = " ".join(scenes.classes[label] for label in sorted(target["labels"].tolist()))
        print(
            f"scene {number:2}: {hits} of {len(target['labels'])} digits found ({names}), "
            f"{len(detections) - hits} wrong"
        )
        right, true = right + hits, true + len(target["labels"])
        extra += len(detections) - hits
    print(f"together: {right} of {true} found, {extra} wrong\n")

    for stage, seconds in times.items():
        print(f"{stage:16} {seconds / len(SCENES) * 1e3:6.2f} ms a scene")
    rest = total - sum(times.values())
    print(f"{'everything else':16} {rest / len(SCENES) * 1e3:6.2f} ms a scene")
    picture = Path(out, "digits.png")
    with replacing(picture) as temporary:
        draw_scenes(images, found).save(temporary)
    print(f"\npicture: {picture}")


def matches(found: Detections, target: dict[str, Any]) -> int:
    """How many true boxes are found: the right label, IoU of at least 0.5, each box used once."""
    iou = ops.box_iou(target["boxes"], found.boxes)
    iou[target["labels"][:, None] != found.labels] = 0
    hits = 0
    while iou.numel() and iou.max() >= 0.5:
        row, column = divmod(int(iou.argmax()), iou.shape[1])
        iou[row], iou[:, column] = 0, 0
        hits += 1
    return hits


@contextmanager
def stage_times(model: nn.Module) -> Iterator[dict[str, float]]:
    """Seconds spent in each stage of a Faster R-CNN while the block runs."""
    times: dict[str, float] = defaultdict(float)
    stages = {
        "backbone": model.get_submodule("backbone"),
        "RPN": model.get_submodule("rpn.head"),
        "RoIAlign": model.get_submodule("roi_heads.box_roi_pool"),
        "heads": model.get_submodule("roi_heads.box_head"),
    }
    with ExitStack() as stack:
        for name, module in stages.items():
            times[name] = 0.0
            stack.enter_context(_timed(module, name, times))
        stack.enter_context(_TimedNMS(times))
        yield times


@contextmanager
def _timed(module: nn.Module, name: str, times: dict[str, float]) -> Iterator[None]:
    started: list[float] = []

    def before(*_: Any) -> None:
        started.append(time.perf_counter())

    def after(*_: Any) -> None:
        times[name] += time.perf_counter() - started.pop()

    handles = [module.register_forward_pre_hook(before), module.register_forward_hook(after)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _TimedNMS(TorchFunctionMode):
    """NMS is a function, no module: its calls are seen on their way to torch."""

    def __init__(self, times: dict[str, float]) -> None:
        super().__init__()
        self.times = times

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        start = time.perf_counter()
        out = func(*args, **(kwargs or {}))
        if func is torch.ops.fastcv.batched_nms:
            self.times["NMS"] += time.perf_counter() - start
        return out


def draw_scenes(images: tuple[Tensor, ...], found: list[Detections]) -> Image.Image:
    """The scenes with their boxes, in rows."""
    tiles = []
    for image, detections in zip(images, found, strict=True):
        large = nn.functional.interpolate(image[None], scale_factor=ENLARGED, mode="bicubic")[0]
        height, width = large.shape[-2:]
        enlarged = Detections(
            detections.boxes * ENLARGED,
            detections.scores,
            detections.labels,
            detections.classes,
            (height, width),
        )
        tiles.append(enlarged.draw(large.clamp(0, 1)))
    return contact_sheet(tiles, COLUMNS)
