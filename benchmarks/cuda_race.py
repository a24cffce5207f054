"""Ours and a peer's call in turn on a GPU, as a fixture."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from cuda_timing import (
    Floors,
    as_many_as_take,
    extra_memory_mib,
    measure_floors,
    milliseconds,
    name_of,
    on_all,
    replay,
    rotation,
)
from turns import peers_turn, rounds_within

SECONDS, ROUNDS = 0.6, (3, 50)  # of a comparison
TURN = 100.0  # ms of one side's calls, or a slow peer's would take minutes


@pytest.fixture(scope="session")
def floors() -> Floors:
    torch.backends.cuda.matmul.allow_tf32 = False
    return measure_floors()


@dataclass
class Side:
    """One side's calls."""

    run: Callable[[], None]
    calls: int
    once: float
    """All of them together, in ms."""
    from_graph: bool

    def milliseconds(self) -> float:
        """Of one call."""
        return milliseconds(self.run, self.calls)


def timed(call: Callable[..., Any], sets: list[tuple[Any, ...]], waits: bool) -> Side:
    one = milliseconds(on_all(call, sets[:1]), 1)
    some = as_many_as_take(TURN, one, sets)
    run, from_graph = on_all(call, some), False
    if not waits:
        try:
            run, from_graph = replay(call, some), True
        except RuntimeError as error:
            print(f"not from a graph: {error}")
            torch.cuda.synchronize()
    run()
    return Side(run, len(some), milliseconds(run, 1), from_graph)


@pytest.fixture
def race(benchmark, floors) -> Callable[..., None]:
    """Time ours and the peer's in turn, and say what is between ours and the floor.

    ``make()`` gives one set of inputs, which both take. ``moved`` are the bytes that must be read
    and written, ``flops`` the operations of a matrix product in ``dtype``: where they are given the
    row has ``of_floor``, our time over the least possible. Both sides are replayed from CUDA
    graphs, but where they ``wait`` for the GPU in between, or the peer cannot be captured.
    """

    def run(
        op: str,
        work: str,
        make: Callable[[], tuple[Any, ...]],
        ours: Callable[..., Any],
        peer: Callable[..., Any],
        *,
        peer_name: str = "torchvision",
        target: float | None = None,
        moved: int | None = None,
        flops: float = 0.0,
        dtype: torch.dtype = torch.float32,
        waits: bool = False,
        peer_waits: bool = False,
    ) -> None:
        sets = rotation(make)
        memory = extra_memory_mib(ours, sets[0])
        peer_memory = extra_memory_mib(peer, sets[0])
        sides = [timed(ours, sets, waits), timed(peer, sets, waits or peer_waits)]
        rounds = rounds_within(SECONDS, sum(side.once for side in sides) / 1e3, ROUNDS)
        ours_ms: list[float] = []
        peer_ms: list[float] = []
        benchmark.pedantic(
            lambda: ours_ms.append(sides[0].milliseconds()),
            setup=peers_turn(sides[1].milliseconds, peer_ms),
            rounds=rounds,
        )
        mine, theirs = statistics.median(ours_ms), statistics.median(peer_ms)
        benchmark.extra_info.update(
            op=op,
            work=work,
            peer=peer_name,
            target=target,
            ratio=round(theirs / mine, 3),
            ours_median_ms=round(mine, 5),
            ours_range_ms=[round(min(ours_ms), 5), round(max(ours_ms), 5)],
            peer_median_ms=round(theirs, 5),
            peer_range_ms=[round(min(peer_ms), 5), round(max(peer_ms), 5)],
            extra_memory_mib=memory,
            peer_extra_memory_mib=peer_memory,
            calls=[side.calls for side in sides],
            from_graph=[side.from_graph for side in sides],
        )
        if moved is not None:
            least = floors.milliseconds(moved, flops, name_of(dtype))
            benchmark.extra_info.update(floor_ms=round(least, 5), of_floor=round(mine / least, 3))

    return run
