"""The players of a system: what the turn of one runs, and what updates it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fastcv.learn._state import is_sharded

if TYPE_CHECKING:
    from lightning.fabric import Fabric

MakeOptimizer = Callable[[list[nn.Parameter]], Optimizer]
MakeScheduler = Callable[[Optimizer, int], LRScheduler]


class Batch:
    """Images and targets, in a box that mixed precision does not open.

    It would turn every tensor among a module's arguments to 16 bits; a box at x = 1000 in
    bfloat16 is off by up to 2 pixels. What convolutions take, autocast turns where they run.
    """

    def __init__(self, images: Any, targets: Any) -> None:
        self.images, self.targets = images, targets


class Turn(nn.Module):
    """Forward and loss as one call: DDP and FSDP see one forward, whatever ``loss`` runs."""

    def __init__(self, model: Any, player: str | None) -> None:
        super().__init__()
        self.model = model
        self.options = {} if player is None else {"player": player}

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        losses = self.model.loss(self.model(batch.images), batch.targets, **self.options)
        if not isinstance(losses, dict) or not losses:
            raise TypeError(
                f"loss of {type(self.model).__name__} must return a dict of named scalar tensors, "
                f"got {losses!r}"
            )
        return losses


@dataclass
class Player:
    """One optimiser and what it updates; the name is None where there is but one player."""

    name: str | None
    turn: Any
    others: list[nn.Parameter]
    optimizer: Optimizer
    fabric_optimizer: Any
    scheduler: LRScheduler | None

    @property
    def lr(self) -> float:
        """The learning rate of the first group of parameters."""
        return float(self.optimizer.param_groups[0]["lr"])

    def label(self, name: str) -> str:
        """A term's column in the history."""
        return name if self.name is None else f"{self.name}/{name}"

    def backward(self, fabric: Fabric, parts: list[Any]) -> dict[str, Tensor]:
        """Gradients of the mean loss over the parts of a step; returns the terms and their sum."""
        mean: dict[str, Tensor] = {}
        with frozen(self.others):
            for i, (images, targets) in enumerate(parts):
                with fabric.no_backward_sync(self.turn, enabled=i < len(parts) - 1):
                    losses = self.turn(Batch(images, targets))
                    loss = torch.stack(list(losses.values())).sum()
                    fabric.backward(loss / len(parts))
                for name, value in {**losses, "loss": loss}.items():
                    column = self.label(name)
                    mean[column] = mean.get(column, 0) + value.detach() / len(parts)
        return mean

    def update(self, fabric: Fabric, clip_norm: float | None) -> None:
        """Clip, then step the optimiser and its schedule."""
        if clip_norm is not None:
            # Not an error if they are infinite: in 16-mixed the scaler leaves out such a step.
            fabric.clip_gradients(
                self.turn, self.fabric_optimizer, max_norm=clip_norm, error_if_nonfinite=False
            )
        self.fabric_optimizer.step()
        self.fabric_optimizer.zero_grad(set_to_none=True)
        if self.scheduler is not None:
            self.scheduler.step()


@contextmanager
def frozen(parameters: list[nn.Parameter]) -> Iterator[None]:
    """Inside, these parameters require no gradients."""
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def make_players(
    fabric: Fabric,
    model: nn.Module,
    optimizer: MakeOptimizer | Mapping[str, MakeOptimizer],
    scheduler: MakeScheduler | Mapping[str, MakeScheduler] | None,
    steps: int,
) -> list[Player]:
    """Wrap the model for each player, then make its optimiser and schedule.

    Raises:
        ValueError: the optimisers or schedules are not one for each player.
    """
    modules: dict[str | None, nn.Module] = dict(getattr(model, "players", None) or {None: model})
    optimizers = _for_each(modules, optimizer, "optimizer")
    schedulers = _for_each(modules, scheduler, "scheduler")
    trainable = {name: _trainable(module) for name, module in modules.items()}
    players = []
    for name, module in modules.items():
        if not trainable[name]:
            raise ValueError(f"nothing to train in {name or 'the model'}: all is frozen")
        if is_sharded(model):
            raise ValueError("strategy 'fsdp' takes a model without players: use DDP")
        mine = set(trainable[name])
        others = [p for group in trainable.values() for p in group if p not in mine]
        with frozen(others):  # DDP waits for the gradients of all that require them here
            turn = fabric.setup_module(Turn(model, name))
        parameters = _trainable(module)  # anew: FSDP puts others in their place
        own = optimizers[name](parameters)
        schedule = schedulers[name]
        players.append(
            Player(
                name,
                turn,
                others,
                own,
                fabric.setup_optimizers(own),
                schedule(own, steps) if schedule is not None else None,
            )
        )
    return players


def _for_each(modules: Mapping[str | None, nn.Module], given: Any, argument: str) -> dict[Any, Any]:
    """What was given, by player."""
    names = [name for name in modules if name is not None]
    if isinstance(given, Mapping):
        if set(given) != set(modules):
            raise ValueError(
                f"{argument} must have one entry for each of the model's players "
                f"({', '.join(names) or 'it names none: give one callable'}), got {list(given)}"
            )
        return dict(given)
    if argument == "optimizer" and names:
        raise ValueError(
            f"optimizer must be a dict with one entry for each player: {', '.join(names)}"
        )
    return dict.fromkeys(modules, given)


def _trainable(module: nn.Module) -> list[nn.Parameter]:
    return [parameter for parameter in module.parameters() if parameter.requires_grad]
