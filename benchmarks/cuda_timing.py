"""How calls are timed on a GPU: by CUDA events, on inputs that no cache holds.

A call gets one set of inputs after the other. Together they are larger than the GPU's cache, so
that each call reads from memory, as in a network between other layers.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

CACHE = 256 << 20  # bytes; an H200's last-level cache has 50 MiB
SETS = (2, 32)  # of inputs, at least and at most

Call = Callable[..., Any]
Inputs = tuple[Any, ...]


def name_of(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def nbytes(value: Any) -> int:
    """Of all tensors in it."""
    return sum(x.nbytes for x in tree_leaves(value) if isinstance(x, torch.Tensor))


def rotation(make: Callable[[], Inputs]) -> list[Inputs]:
    """So many sets of inputs that a cache holds the next one never."""
    first = make()
    count = CACHE // max(nbytes(first), 1) + 1
    return [first, *(make() for _ in range(min(max(count, SETS[0]), SETS[1]) - 1))]


def as_many_as_take(budget: float, once: float, sets: list[Inputs]) -> list[Inputs]:
    """The first sets, one at least, on which calls of ``once`` ms each take ``budget`` ms."""
    return sets[: max(1, int(budget / max(once, 1e-6)))]


def on_all(call: Call, sets: Sequence[Inputs]) -> Callable[[], None]:
    """Runs the call on one set after the other."""

    def run() -> None:
        for inputs in sets:
            call(*inputs)

    return run


def replay(call: Call, sets: Sequence[Inputs]) -> Callable[[], None]:
    """The same from a CUDA graph: the GPU alone, without what Python and the launches take.

    Raises:
        RuntimeError: the call waits for the GPU, which a graph cannot.
    """
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        on_all(call, sets)()
    return graph.replay


def milliseconds(run: Callable[[], None], calls: int) -> float:
    """Of one of ``calls`` calls."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    run()
    end.record()
    end.synchronize()
    return start.elapsed_time(end) / calls


def extra_memory_mib(call: Call, inputs: Inputs) -> float:
    """What a call takes beyond what it returns."""
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    out = call(*inputs)
    torch.cuda.synchronize()
    return round((torch.cuda.max_memory_allocated() - before - nbytes(out)) / 2**20, 1)


@dataclass(frozen=True)
class Floors:
    """What the GPU at hand does at its best, measured."""

    bytes_per_ms: float
    """Read and written by a copy."""
    flops_per_ms: dict[str, float]
    """Of torch.mm by dtype; float32 without TF32."""

    def milliseconds(self, moved: int, flops: float = 0, dtype: str = "float32") -> float:
        """The least time for so many bytes and operations."""
        return max(moved / self.bytes_per_ms, flops / self.flops_per_ms[dtype])


def measure_floors(side: int = 8192, copied: int = 1 << 30) -> Floors:
    """A copy of ``copied`` bytes, and products of ``side`` x ``side`` matrices."""
    source, target = (torch.empty(copied, dtype=torch.uint8, device="cuda") for _ in range(2))
    source.zero_()
    copy = median_ms(target.copy_, source)
    del source, target
    rates = {}
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        a, b = (torch.randn(side, side, device="cuda").to(dtype) for _ in range(2))
        product = median_ms(torch.mm, a, b)
        rates[name_of(dtype)] = 2 * side**3 / product
    return Floors(2 * copied / copy, rates)


def median_ms(call: Call, *inputs: Any) -> float:
    run = on_all(call, [inputs] * 3)
    run()
    return statistics.median(milliseconds(run, 3) for _ in range(9))
