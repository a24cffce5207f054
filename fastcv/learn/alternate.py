"""Training one group of parameters at a time: the next when nothing gets better any more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

Evaluate = Callable[[Any, Any], Mapping[str, Any]]


class AlternateOnPlateau:
    """``fit``'s ``scheduler``: one group of the optimiser learns, the others' rates are 0.

    The turn goes on where a metric has not become better for some evaluations. The metric comes
    from ``evaluate``, through ``watching``. All of it lies in the checkpoint, so that a resumed run
    is what it would have been.

    A group whose rate is 0 keeps its weights. Batch statistics in its layers go on moving, and
    Adam's averages as well, as in im2recipe's published training.

    Args:
        metric: of ``evaluate``; smaller is better.
        patience: after so many evaluations without a better one the turn goes on: before the first
            change, and after it.
        first: the group that begins.

    Raises:
        ValueError: a patience under 1.

    Source: Salvador et al., "Learning Cross-modal Embeddings for Cooking Recipes and Food Images"
        (2017), section 4; the patience as in torralba-lab/im2recipe-Pytorch, which evaluates every
        tenth epoch.

    Example:
        >>> import torch
        >>> from fastcv.learn.alternate import AlternateOnPlateau
        >>> groups = [{"params": [torch.nn.Parameter(torch.zeros(1))]} for _ in range(2)]
        >>> adam = torch.optim.Adam(groups, lr=0.1)
        >>> turns = AlternateOnPlateau("MedR")
        >>> schedule = turns(adam, 100)
        >>> schedule.get_last_lr()
        [0.1, 0.0]
        >>> evaluate = turns.watching(lambda model, data: {"MedR": 5.0})
        >>> for _ in range(2):
        ...     metrics = evaluate(None, None)
        >>> adam.step(); schedule.step(); schedule.get_last_lr()
        [0.0, 0.1]
    """

    def __init__(self, metric: str, patience: tuple[int, int] = (1, 3), first: int = 0) -> None:
        if min(patience) < 1:
            raise ValueError(f"patience must be at least 1, got {patience}")
        self.metric, self.patience, self.first = metric, patience, first
        self.schedule: _OneGroup | None = None

    def __call__(self, optimizer: Optimizer, steps: int) -> LRScheduler:
        """The schedule of a run.

        Raises:
            ValueError: the optimiser has not two groups or more, or several processes train.
        """
        if len(optimizer.param_groups) < 2:
            raise ValueError("optimizer must have two groups or more to alternate between")
        parallel = torch.distributed.is_available() and torch.distributed.is_initialized()
        if parallel and torch.distributed.get_world_size() > 1:
            raise ValueError(
                "one process must train: only the first of several evaluates, and the others would "
                "not know whose turn it is"
            )
        self.schedule = _OneGroup(optimizer, self.first % len(optimizer.param_groups))
        return self.schedule

    def watching(self, evaluate: Evaluate) -> Evaluate:
        """The same ``evaluate``, whose metric decides the turns of the run that is going on."""

        def watched(model: Any, data: Any) -> Mapping[str, Any]:
            metrics = evaluate(model, data)
            if self.metric not in metrics:
                raise ValueError(
                    f"evaluate must return {self.metric!r}, by which groups alternate, got "
                    f"{', '.join(metrics)}"
                )
            if self.schedule is not None:
                self.schedule.report(float(metrics[self.metric]), self.patience)
            return metrics

        return watched


class _OneGroup(LRScheduler):
    """A learning rate for one group at a time; its numbers are saved as any schedule's."""

    def __init__(self, optimizer: Optimizer, turn: int) -> None:
        self.turn, self.changes, self.waited = turn, 0, 0
        self.best = float("inf")
        super().__init__(optimizer)

    def get_lr(self) -> list[float | torch.Tensor]:
        return [lr if i == self.turn else 0.0 for i, lr in enumerate(self.base_lrs)]

    def report(self, metric: float, patience: tuple[int, int]) -> None:
        """Counts evaluations without a better one."""
        self.waited = 0 if metric < self.best else self.waited + 1
        self.best = min(self.best, metric)
        if self.waited >= patience[self.changes > 0]:
            self.turn = (self.turn + 1) % len(self.base_lrs)
            self.changes, self.waited = self.changes + 1, 0
            for group, lr in zip(self.optimizer.param_groups, self.get_lr(), strict=True):
                group["lr"] = lr
            self._last_lr = self.get_lr()
