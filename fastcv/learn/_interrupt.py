"""Ctrl-C and the scheduler's SIGTERM: remembered until the step at hand is done."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from lightning.fabric import Fabric


class Interrupt:
    """Whether someone asked to stop: the first signal is noted, a second one strikes at once."""

    def __init__(self, fabric: Fabric) -> None:
        self._fabric = fabric
        self._noted = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def asked(self) -> bool:
        """Whether any process was asked to stop; all must call it, and get the same answer."""
        noted = torch.tensor(float(self._noted), device=self._fabric.device)
        total: Any = self._fabric.all_reduce(noted, reduce_op="sum")
        return bool(total > 0)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._noted = True
        signal.signal(number, self._before[number])
