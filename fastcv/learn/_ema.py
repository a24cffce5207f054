"""The moving average of a model's weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from fastcv.models._mode import alone


class EMA:
    """The exponential moving average of a model's parameters; buffers are copied.

    After ``n`` updates the decay is ``min(decay, (1 + n) / (10 + n))``, so that the first weights
    are soon forgotten.

    Args:
        model: where the average starts.
        decay: how much of the average is kept in an update, in [0, 1).

    Raises:
        ValueError: ``decay`` is out of its range.

    Example:
        >>> import torch
        >>> from fastcv.learn import EMA
        >>> model = torch.nn.Linear(1, 1, bias=False)
        >>> _ = torch.nn.init.zeros_(model.weight)
        >>> ema = EMA(model, decay=0.999)
        >>> _ = torch.nn.init.ones_(model.weight)
        >>> ema.update(model)  # 1/10 of zero, 9/10 of one
        >>> with ema.swapped(model):
        ...     print(f"{model.weight.item():.4f}")
        0.9000
        >>> model.weight.item()
        1.0
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        if not 0 <= decay < 1:
            raise ValueError(f"ema_decay must be in [0, 1), got {decay}")
        self.decay = decay
        self.restart(model, updates=0)

    def restart(self, model: nn.Module, updates: int) -> None:
        """Take the model's weights for the average after ``updates`` updates."""
        self.updates = updates
        self.average = {name: live.clone() for name, live in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take the model's weights into the average: once after each optimiser step."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        parameters = {name for name, _ in model.named_parameters(remove_duplicate=False)}
        for name, live in model.state_dict().items():
            if name in parameters:
                self.average[name].lerp_(live, 1 - decay)
            else:
                self.average[name].copy_(live)

    @torch.no_grad()
    def copy_to(self, model: nn.Module) -> None:
        """Give the model the averaged weights for good."""
        with alone(model):
            for name, live in model.state_dict().items():
                live.copy_(self.average[name])

    @contextmanager
    def swapped(self, model: nn.Module) -> Iterator[None]:
        """Inside, the model has the averaged weights; after, its own again to the bit."""
        self._swap(model)
        try:
            yield
        finally:
            self._swap(model)

    @torch.no_grad()
    def _swap(self, model: nn.Module) -> None:
        # Not by replacing tensors: optimisers and DDP hold on to the ones that are there.
        with alone(model):
            for name, live in model.state_dict().items():
                average = self.average[name].clone()
                self.average[name].copy_(live)
                live.copy_(average)
