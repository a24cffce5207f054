"""What the turn of one player runs: forward and loss, as one call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn


class Batch:
    """Images and targets, in a box that mixed precision does not open.

    It would turn every tensor among a module's arguments to 16 bits; a box at x = 1000 in
    bfloat16 is off by up to 2 pixels. What convolutions take, autocast turns where they run.

    ``output`` is what the model made of the images, where the players of a step share it.

    Raises:
        TypeError: what the collate function returned is no pair.
    """

    def __init__(self, pair: Any) -> None:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise TypeError(
                "collate must return a pair (images, targets), got "
                f"{type(pair).__name__}{f' of {len(pair)}' if hasattr(pair, '__len__') else ''}"
            )
        self.images, self.targets = pair
        self.output: Any = None


class Turn(nn.Module):
    """Forward and loss as one call: DDP and FSDP see one forward, whatever ``loss`` runs.

    Where ``model.shared_forward`` is true, the first turn of a step runs the model's forward and
    leaves the output in the batch, for the turns that follow.
    """

    def __init__(self, model: Any, player: str | None, others: list[nn.Parameter]) -> None:
        super().__init__()
        self.model, self.others = model, others
        self.shared = player is not None and getattr(model, "shared_forward", False)
        self.options = {} if player is None else {"player": player}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        losses = self.model.loss(self._output(batch), batch.targets, **self.options)
        if not isinstance(losses, dict) or not losses:
            raise TypeError(
                f"loss of {type(self.model).__name__} must return a dict of named scalar tensors, "
                f"got {losses!r}"
            )
        return losses

    def _output(self, batch: Batch) -> Any:
        if not self.shared:
            return self.model(batch.images)
        if batch.output is None:
            _send_buffers(self.model)
            with requires_grad(self.others, True):  # the others' losses may go through it too
                batch.output = self.model(batch.images)
        return batch.output


@contextmanager
def requires_grad(parameters: list[nn.Parameter], value: bool) -> Iterator[None]:
    """Inside, these parameters require gradients or do not; outside it is the other way round."""
    for parameter in parameters:
        parameter.requires_grad_(value)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(not value)


def _send_buffers(model: nn.Module) -> None:
    """Give all processes rank 0's buffers.

    DDP does so at each call. Between two turns on one graph it must not: a buffer written to in
    between would make the graph invalid.
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        with torch.no_grad():
            for buffer in model.buffers():
                torch.distributed.broadcast(buffer, 0)
