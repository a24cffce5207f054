"""The players of a system: what each trains, and what updates it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from fastcv.learn._state import is_sharded
from fastcv.learn._turn import Batch, Turn, requires_grad

if TYPE_CHECKING:
    from lightning.fabric import Fabric

MakeOptimizer = Callable[[list[nn.Parameter]], Optimizer]
MakeScheduler = Callable[[Optimizer, int], LRScheduler]


@dataclass
class Player:
    """One optimiser and what it updates; the name is None where there is but one player.

    ``others`` are all parameters of the model that would require gradients and are not its own.
    """

    name: str | None
    turn: Any
    shared: bool
    every: int
    parameters: list[nn.Parameter]
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

    def backward(self, fabric: Fabric, parts: list[Batch], *, last: bool) -> dict[str, Tensor]:
        """Gradients of the mean loss over the parts of a step; returns the terms and their sum.

        Args:
            last: no player after this one needs the output that they share.
        """
        mean: dict[str, Tensor] = {}
        with requires_grad(self.others, False):
            for i, part in enumerate(parts):
                with fabric.no_backward_sync(self.turn, enabled=i < len(parts) - 1):
                    losses = self.turn(part)
                    loss = torch.stack(list(losses.values())).sum()
                    if self.shared:
                        self._backward_through_shared(fabric, loss / len(parts), last)
                    else:
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

    def _backward_through_shared(self, fabric: Fabric, loss: Tensor, last: bool) -> None:
        try:
            # Inputs: the shared graph leads to other players' parameters as well.
            fabric.backward(loss, inputs=self.parameters, retain_graph=not last)
        except RuntimeError as error:
            if "modified by an inplace operation" not in str(error):
                raise
            raise RuntimeError(
                f"the loss of player {self.name} goes through weights or buffers that have changed "
                "since the shared forward of this step. Most likely a player before it owns some "
                "of what forward runs: make the two one player, let this one come first and the "
                "other detach the output, or set shared_forward = False"
            ) from error


def make_players(
    fabric: Fabric,
    model: nn.Module,
    optimizer: MakeOptimizer | Mapping[str, MakeOptimizer],
    scheduler: MakeScheduler | Mapping[str, MakeScheduler] | None,
    every: Mapping[str, int] | None,
    steps: int,
) -> list[Player]:
    """Wrap the model for each player, then make its optimiser and schedule.

    Raises:
        ValueError: the optimisers or schedules are not one for each player, or ``every`` is not
            a ratio of theirs.
    """
    named: Any = getattr(model, "players", None) or {None: model}
    modules = {name: _as_module(given) for name, given in named.items()}
    optimizers = _for_each(modules, optimizer, "optimizer")
    schedulers = _for_each(modules, scheduler, "scheduler")
    ratios = _ratios(modules, every or {})
    trainable = {name: _trainable(module) for name, module in modules.items()}
    of_all = _trainable(model)
    players = []
    for name, module in modules.items():
        if not trainable[name]:
            raise ValueError(f"nothing to train in {name or 'the model'}: all is frozen")
        if is_sharded(model):
            raise ValueError("strategy 'fsdp' takes a model without players: use DDP")
        own = set(trainable[name])
        others = [p for p in of_all if p not in own]
        turn = Turn(model, name, others)
        with requires_grad(others, False):  # DDP waits for the gradients of all that require them
            wrapped: Any = fabric.setup_module(turn)
        if turn.shared:
            _leave_buffers_alone(wrapped)
        parameters = _trainable(module)  # anew: FSDP puts others in their place
        made = optimizers[name](parameters)
        schedule = schedulers[name]
        players.append(
            Player(
                name,
                wrapped,
                turn.shared,
                ratios[name],
                parameters,
                others,
                made,
                fabric.setup_optimizers(made),
                schedule(made, steps // ratios[name]) if schedule is not None else None,
            )
        )
    return players


def _as_module(given: Any) -> nn.Module:
    """A player's module, or its modules as one."""
    return nn.ModuleList(given) if isinstance(given, (list, tuple)) else given


def _ratios(modules: Mapping[Any, nn.Module], every: Mapping[str, int]) -> dict[Any, int]:
    """By player: it is trained in each so-many-th step."""
    if unknown := set(every) - set(modules):
        names = ", ".join(name for name in modules if name is not None)
        raise ValueError(
            f"every must name players of the model ({names or 'it names none'}), got "
            f"{sorted(unknown)}"
        )
    ratios = {name: every.get(name, 1) for name in modules}
    if min(ratios.values()) != 1:
        raise ValueError(
            f"every must be at least 1, and 1 for some player, got {list(ratios.values())}"
        )
    return ratios


def _leave_buffers_alone(wrapped: nn.Module) -> None:
    """No sending of buffers at each turn: ``Turn`` does it once, before the shared forward."""
    for module in wrapped.modules():
        if isinstance(module, DistributedDataParallel):
            module.broadcast_buffers = False


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
