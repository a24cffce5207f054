"""All that a run must find again to go on as if it had not stopped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import torch
from torch import nn

from fastcv._files import replacing
from fastcv.learn._ema import EMA
from fastcv.learn._player import Player
from fastcv.learn._samples import write_sheet
from fastcv.learn._state import (
    is_sharded,
    load_model_state,
    load_optimizer_state,
    model_state,
    not_finite,
    optimizer_state,
    shapes,
    write_weights,
)
from fastcv.learn.history import History

if TYPE_CHECKING:
    from lightning.fabric import Fabric


@dataclass
class Run:
    """The model and what else changes in training, and its checkpoint ``last.pt``.

    All processes call the methods together; rank 0 writes. No generator's state is kept: random
    numbers depend on the place (see ``_seed``).
    """

    fabric: Fabric
    folder: Path
    model: nn.Module
    ema: EMA | None
    players: list[Player]
    settings: dict[str, Any]
    history: History = field(default_factory=History)
    best: float = float("-inf")

    def __post_init__(self) -> None:
        self.shapes = shapes(self.model)

    def save(self, epoch: int, step: int) -> None:
        """Write the checkpoint and the history: ``step`` steps of epoch ``epoch`` are done.

        Raises:
            ValueError: the model has changed into what could not be resumed; nothing is written.
        """
        self._check_model()
        checkpoint = {
            "position": (epoch, step),
            "settings": self.settings,
            "model": model_state(self.model),
            "ema": self._ema_state(),
            "optimizers": [optimizer_state(self.model, p.optimizer) for p in self.players],
            "schedulers": [p.scheduler and p.scheduler.state_dict() for p in self.players],
            "precision": self.fabric.strategy.precision.state_dict(),  # the scaler of 16-mixed
            "history": self.history.state(),
            "best": self.best,
        }
        if self.fabric.is_global_zero:
            with replacing(self.folder / "last.pt") as temporary:
                torch.save(checkpoint, temporary)
            self.history.write(self.folder)
        self.fabric.barrier()

    def resume(self) -> tuple[int, int]:
        """Go back to the checkpoint, if there is one.

        Returns:
            The epoch and how many of its steps are done.

        Raises:
            ValueError: it was made with other settings.
        """
        checkpoint, path = None, self.folder / "last.pt"
        if self.fabric.is_global_zero and path.exists():
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        checkpoint = self.fabric.broadcast(checkpoint)
        if checkpoint is None:
            return 0, 0
        self._check_settings(path, checkpoint["settings"])
        if self.ema is not None:
            load_model_state(self.model, checkpoint["ema"]["average"])
            self.ema.restart(self.model, checkpoint["ema"]["updates"])
        load_model_state(self.model, checkpoint["model"])
        for player, optimizer, scheduler in zip(
            self.players, checkpoint["optimizers"], checkpoint["schedulers"], strict=True
        ):
            load_optimizer_state(self.model, player.optimizer, optimizer)
            if player.scheduler is not None:
                player.scheduler.load_state_dict(scheduler)
        self.fabric.strategy.precision.load_state_dict(checkpoint["precision"])
        self.history = History.from_state(checkpoint["history"])
        self.best = checkpoint["best"]
        epoch, step = checkpoint["position"]
        return epoch, step

    def evaluate(
        self, evaluate: Callable[[Any, Any], Mapping[str, Any]], val_data: Any
    ) -> dict[str, float]:
        """The metrics of the averaged weights if there are any, else of the last ones."""
        metrics: dict[str, float] = {}
        # Not inference_mode: what a model caches under it could not be used in training after.
        with torch.no_grad(), self._averaged():
            if self.fabric.is_global_zero or is_sharded(self.model):
                found = evaluate(self.model, val_data)
                metrics = {k: float(v) for k, v in found.items() if isinstance(v, (int, float))}
        return self.fabric.broadcast(metrics)

    def sample(self, samples: Callable[[Any], Any], name: str) -> None:
        """Write a sheet of what the weights that ``evaluate`` sees make, and note it."""
        with torch.no_grad(), self._averaged():
            if self.fabric.is_global_zero or is_sharded(self.model):
                made = samples(self.model)
                if self.fabric.is_global_zero:
                    write_sheet(made, self.folder / name)
        self.history.samples.append(name)

    def keep_best(self, name: str, metrics: Mapping[str, float]) -> None:
        """Write ``best.safetensors`` if the metric is the greatest so far."""
        if name not in metrics:
            raise ValueError(f"best must be a metric of evaluate: {list(metrics)}, got {name!r}")
        if metrics[name] > self.best:
            self.best = metrics[name]
            with self._averaged():
                self._write_weights("best.safetensors")

    def finish(self) -> None:
        """Leave the model with its final weights, and write them and the curves."""
        if self.ema is not None:
            self.ema.copy_to(self.model)
        self._write_weights("model.safetensors")
        self._draw()

    def leave(self) -> NoReturn:
        """Exit after a signal; the checkpoint is written."""
        self._draw()
        sentence = (
            f"stopped after step {len(self.history.steps)}; all is saved in {self.folder}, and "
            "the same command goes on from there"
        )
        raise SystemExit(sentence if self.fabric.is_global_zero else 1)

    def _averaged(self) -> AbstractContextManager[None]:
        return nullcontext() if self.ema is None else self.ema.swapped(self.model)

    def _ema_state(self) -> dict[str, Any] | None:
        if self.ema is None:
            return None
        with self._averaged():
            return {"average": model_state(self.model), "updates": self.ema.updates}

    def _write_weights(self, name: str) -> None:
        state = model_state(self.model)
        if self.fabric.is_global_zero:
            write_weights(self.folder / name, state, self.model)

    def _draw(self) -> None:
        if self.fabric.is_global_zero:
            self.history.draw(self.folder / "curves.png")

    def _check_model(self) -> None:
        # A loss may be finite and its gradient not: the root of 0 has an infinite slope.
        if broken := not_finite(self.fabric, self.model):
            raise ValueError(
                f"weights are NaN or infinite after step {len(self.history.steps)}, though the "
                f"loss was finite: {', '.join(broken[:3])}{', ...' if len(broken) > 3 else ''}. "
                f"Nothing was saved: {self.folder / 'last.pt'}, if there is one, is from before"
            )
        for name, shape in shapes(self.model).items():
            if shape != self.shapes.get(name):
                raise ValueError(
                    f"buffer {name} had the shape {self.shapes.get(name)} and now has {shape}: a "
                    "run could not be resumed with it. Make it as large as it gets from the start, "
                    "and count what is filled in a second buffer"
                )

    def _check_settings(self, path: Path, saved: dict[str, Any]) -> None:
        changed = [
            f"{name} was {saved.get(name)!r} and is now {value!r}"
            for name, value in self.settings.items()
            if saved.get(name) != value
        ]
        if changed:
            raise ValueError(
                f"cannot resume from {path}, made with other settings: {'; '.join(changed)}. "
                "Set them back, choose another out, or start anew with resume=False"
            )
