"""The detector that ships, on scenes it never saw: what it found, and where its time goes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from fastcv.recipes.detection._show import (
    MIN_SCORE,
    SCENES,
    held_out,
    print_found,
    save_picture,
)


def demo(model: Any, out: Path) -> None:
    """As ``show_scenes``, with the time of each stage."""
    images, targets = held_out()
    model.predict(images[0])  # so that no time of a first call is counted
    start = time.perf_counter()
    with stage_times(model) as times:
        found = model.predict(images, score_threshold=MIN_SCORE)
    total = time.perf_counter() - start

    print_found(found, targets)
    for stage, seconds in times.items():
        print(f"{stage:16} {seconds / len(SCENES) * 1e3:6.2f} ms a scene")
    rest = total - sum(times.values())
    print(f"{'everything else':16} {rest / len(SCENES) * 1e3:6.2f} ms a scene\n")
    save_picture(images, found, out)


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
