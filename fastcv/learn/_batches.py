"""Which items each step sees: the same for one process as for many, and after a resume."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, Sampler, Subset, default_collate

from fastcv.data import collate
from fastcv.data.protocols import SizedDataset
from fastcv.learn._seed import derive, seed_all

Key = tuple[int, int]
"""The epoch and the index of an item: together they give its random numbers."""


class Order(Sampler[list[Key]]):
    """The items of one process, a part of a step at a time.

    Each epoch shuffles all items and cuts them into steps of ``batch_size``; what is left over
    waits for another epoch. A step is cut into ``parts`` one after the other, and each part is
    shared out among the processes.

    Example:
        >>> from fastcv.learn._batches import Order
        >>> order = Order(10, batch_size=4, parts=1, seed=0)
        >>> halves = [Order(10, batch_size=4, parts=1, seed=0, rank=r, processes=2) for r in (0, 1)]
        >>> [a + b for a, b in zip(*halves)] == list(order)
        True
    """

    def __init__(
        self,
        length: int,
        *,
        batch_size: int,
        parts: int,
        seed: int,
        rank: int = 0,
        processes: int = 1,
    ) -> None:
        self.length, self.seed, self.rank = length, seed, rank
        self.shape = (length // batch_size, parts, processes, batch_size // (parts * processes))
        self.steps = self.shape[0]
        self.epoch = self.first_step = 0

    def __len__(self) -> int:
        return (self.steps - self.first_step) * self.shape[1]

    def __iter__(self) -> Iterator[list[Key]]:
        generator = torch.Generator().manual_seed(derive(self.seed, self.epoch))
        items = torch.randperm(self.length, generator=generator)
        cut = items[: torch.Size(self.shape).numel()].view(self.shape)
        for part in cut[self.first_step :, :, self.rank].flatten(0, 1).tolist():
            yield [(self.epoch, index) for index in part]


class SeededItems(Dataset[Any]):
    """A dataset whose random augmentation depends on the epoch and the item, not on the worker."""

    def __init__(self, data: SizedDataset, seed: int) -> None:
        self.data, self.seed = data, seed

    def __getitem__(self, key: Key) -> Any:
        epoch, index = key
        seed_all(self.seed, epoch, index)
        return self.data[index]


def collate_by_target(batch: Sequence[tuple[Any, Any]]) -> Any:
    """Lists where a target is a dict (images of any sizes), stacked tensors otherwise."""
    return collate(batch) if isinstance(batch[0][1], dict) else default_collate(list(batch))


def collate_of(data: Any) -> Callable[[list[Any]], Any]:
    """A dataset's own way to make a batch of its items, ``data.collate``, or ours."""
    while isinstance(data, Subset):
        data = data.dataset
    own: Callable[[list[Any]], Any] = getattr(data, "collate", collate_by_target)
    return own


def _leave_interrupts_to_the_main_process(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def make_loader(
    data: SizedDataset,
    order: Order,
    *,
    workers: int,
    collate_fn: Callable[[list[Any]], Any] | None,
    pin_memory: bool,
) -> DataLoader[Any]:
    """Batches of ``(images, targets)`` as ``order`` says, from where it stands when iterated."""
    return DataLoader(
        SeededItems(data, order.seed),
        batch_sampler=order,
        num_workers=workers,
        collate_fn=collate_fn or collate_of(data),
        pin_memory=pin_memory,
        persistent_workers=workers > 0,
        worker_init_fn=_leave_interrupts_to_the_main_process,
    )
