"""Ours and the peer's call timed in turn, so that both see the same machine."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any


def seconds(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def peers_turn(measure: Callable[[], float], times: list[float]) -> Callable[[], None]:
    """The ``setup`` of ``benchmark.pedantic``: what the peer takes goes into ``times``.

    The order is peer, ours, ours, peer, peer, ours, ours, ...: neither side always meets the caches
    that the other left.
    """
    turn = itertools.count()

    def setup() -> None:
        i = next(turn)
        for _ in range(0 if i % 2 else min(i + 1, 2)):
            times.append(measure())

    return setup


def rounds_within(budget: float, once: float, bounds: tuple[int, int]) -> int:
    """How many rounds of ``once`` seconds a budget has room for, within bounds."""
    return int(min(max(budget / once, bounds[0]), bounds[1]))
