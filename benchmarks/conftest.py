"""What every benchmark shares: ours and the peer's call timed in turn, in one process.

A benchmark says what it measures and hands over two calls:

    def test_nms(compare, threads):
        compare("nms", "RPN-like n=1k", ours, peer, target=10)

Rounds time the peer and ours, then ours and the peer, in turn: both see the same machine, and
neither always meets the caches that the other left. The ratio is that of the medians. Outputs are
fresh at every call, as an op must return them; an untimed call of the same side comes before each,
so that their memory is what that one freed.
"""

from __future__ import annotations

import ctypes
import gc
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from cuda_race import floors, race  # noqa: F401  # fixtures of bench_cuda.py
from turns import peers_turn, rounds_within, seconds

SECONDS = 4.0  # a comparison's budget, beyond the fewest rounds
ROUNDS = (9, 200)


@pytest.fixture(params=[1, 2], ids=["t1", "t2"])
def threads(request: pytest.FixtureRequest):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture
def compare(benchmark, request) -> Callable[..., float]:
    """Time `ours` against `peer`; returns the ratio of medians (above 1: ours is faster)."""

    def run(
        op: str,
        work: str,
        ours: Callable[[], Any],
        peer: Callable[[], Any],
        *,
        peer_name: str = "torchvision",
        target: float | None = None,
    ) -> float:
        memory = extra_memory_mib(ours)  # also the warm-up
        peer_memory = extra_memory_mib(peer)
        once = seconds(peer) + seconds(ours)
        rounds = rounds_within(SECONDS, once, ROUNDS)
        peer_seconds: list[float] = []
        benchmark.group = f"{op}: {work}"

        def peer_turn() -> float:
            peer()
            return seconds(peer)

        turn = peers_turn(peer_turn, peer_seconds)

        def setup() -> None:
            turn()
            ours()

        benchmark.pedantic(ours, setup=setup, rounds=rounds)
        ours_ms = statistics.median(benchmark.stats.stats.data) * 1e3
        peer_ms = statistics.median(peer_seconds) * 1e3
        benchmark.extra_info.update(
            op=op,
            work=work,
            peer=peer_name,
            threads=torch.get_num_threads(),
            ours_median_ms=round(ours_ms, 5),
            peer_median_ms=round(peer_ms, 5),
            ratio=round(peer_ms / ours_ms, 3),
            target=target,
            extra_memory_mib=memory,
            peer_extra_memory_mib=peer_memory,
        )
        return peer_ms / ours_ms

    return run


def extra_memory_mib(call: Callable[[], Any]) -> float | None:
    """How far one call raises the process's peak resident memory, its output included."""
    status, clear = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not clear.exists():
        call()
        return None
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)  # what was freed and kept would be used again unseen
    clear.write_text("5")  # the peak starts again from what is resident now
    before = resident_kib(status, "VmRSS")
    call()
    return round((resident_kib(status, "VmHWM") - before) / 1024, 1)


def resident_kib(status: Path, field: str) -> int:
    line = next(line for line in status.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1])


def pytest_benchmark_update_machine_info(config, machine_info) -> None:
    for name in ("node", "release"):  # whose machine it is does not matter
        machine_info.pop(name, None)
    machine_info["torch"] = torch.__version__
    try:
        import torchvision

        machine_info["torchvision"] = torchvision.__version__
    except ImportError:
        pass
