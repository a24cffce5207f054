"""What a recipe is: data, model, schedule, and the level it reaches.

A plain recipe is one ``Recipe(...)`` and nothing else; ``detection/digits_ssd.py`` is one to begin
from. A recipe that trains in several stages has a function for them, ``stages``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from fastcv._device import find_device
from fastcv.learn import fit
from fastcv.models import Model, load_model, save_model
from fastcv.models._weights import Source, load_weights, read_metadata

NO_WEIGHTS = "no weights of this recipe ship: train first, then pass the {} that it wrote"


@dataclass(frozen=True)
class Level:
    """What training by a recipe was measured to reach.

    Args:
        metrics: numbers by the names that ``train`` returns them under.
        on: what they were measured on.
        runs: which runs they are of, such as ``"seed 0, one run"``.
        date: when they were measured, as ``"2026-11-26"``.

    Example:
        >>> from fastcv.recipes._recipe import Level
        >>> print(Level({"AP": 0.672, "AP50": 0.928}, "500 scenes", "seed 0", "2026-11-26"))
        AP 0.672, AP50 0.928
    """

    metrics: Mapping[str, float]
    on: str
    runs: str
    date: str

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:.3f}" for name, value in self.metrics.items())


@dataclass(frozen=True)
class Run:
    """What is chosen anew each time a recipe trains.

    Args:
        out: folder for what is written.
        seed: of weights, order and whatever else is random.
        epochs: passes of the main stage.
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        workers: processes that load data.
    """

    out: Path
    seed: int
    epochs: int
    device: str
    workers: int

    def fit(
        self,
        model: nn.Module,
        data: Any,
        part: str = "",
        *,
        epochs: int | None = None,
        **schedule: Any,
    ) -> None:
        """``fastcv.learn.fit`` within this run; what was stopped goes on.

        Args:
            model: trained in place.
            data: to train on.
            part: folder of this stage in ``out``.
            epochs: passes; by default the main stage's.
            schedule: other options of ``fit``.
        """
        fit(
            model,
            data,
            epochs=epochs or self.epochs,
            out=self.out / part,
            seed=self.seed,
            devices=self.device,
            workers=self.workers,
            **schedule,
        )


def one_stage(recipe: Recipe, run: Run) -> dict[str, Any]:
    """Trains a model from nothing by the schedule, and measures it."""
    torch.manual_seed(run.seed)
    model = recipe.build()
    recipe.fit(model, run)
    return recipe.keep(model, run)


@dataclass(frozen=True)
class Recipe:
    """A trained result of this project, and how it is made again.

    Args:
        name: of its module, and for ``fastcv train NAME``.
        summary: one line for ``fastcv train``, which lists the recipes.
        data: makes each part of the data: ``"train"``, ``"test"``, and ``"val"`` where each epoch
            ends with a look at the metrics; more where ``stages`` has use for more.
        build: makes the model, with random weights unless the recipe says otherwise.
        epochs: passes of the main stage, where none are asked for.
        schedule: the options of ``fit`` for a model on a device (of the model's own ``fit``, where
            it has one).
        metrics: called as ``metrics(model, test_data)``.
        level: what was measured.
        stages: called as ``stages(recipe, run)``: all of the training, up to the metrics.
        ships: weights that come with the package.
        no_weights: what is told where no weights are given and none ship.
        show: called as ``show(model, folder)``: writes a picture of a trained model at work.

    Example:
        >>> from fastcv import recipes
        >>> recipe = recipes.get("digits_ssd")
        >>> recipe.summary
        'SSD on a ResNet-18 of half the width, five maps'
        >>> recipe.epochs, len(recipe.data["train"]()), recipe.level.metrics["AP50"]
        (6, 4000, 0.928)
    """

    name: str
    summary: str
    data: Mapping[str, Callable[[], Any]]
    build: Callable[[], Model]
    epochs: int
    schedule: Callable[[Any, str], Mapping[str, Any]]
    metrics: Callable[[Any, Any], dict[str, Any]]
    level: Level
    stages: Callable[[Recipe, Run], dict[str, Any]] = one_stage
    ships: Path | None = None
    no_weights: str = NO_WEIGHTS.format(".safetensors") + " as weights"
    show: Callable[[Any, Path], None] | None = None

    def train(
        self,
        out: str | os.PathLike[str],
        *,
        seed: int = 0,
        epochs: int | None = None,
        device: str = "auto",
        workers: int = 0,
    ) -> dict[str, Any]:
        """Train; a run that was stopped goes on.

        Args:
            out: folder for the run and the weights it ends with.
            seed: of weights, order and whatever else is random.
            epochs: passes of the main stage; by default the recipe's.
            device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
            workers: processes that load data.

        Returns:
            What was measured at the end, on data that the training never saw.

        Raises:
            ValueError: the device is not there, or ``fit`` refuses an argument.
            ImportError: an optional package is missing.
        """
        where = str(find_device(device))
        return self.stages(self, Run(Path(out), seed, epochs or self.epochs, where, workers))

    def evaluate(
        self, weights: str | os.PathLike[str] | None = None, *, device: str = "auto"
    ) -> dict[str, Any]:
        """The metrics of some weights on the test data.

        Args:
            weights: a file that ``train`` wrote; None: those that ship.
            device: as for ``train``.

        Raises:
            ValueError: none are given and none ship, or they are not of this model.
        """
        return self.metrics(self.load(weights, device=device), self.data["test"]())

    def demo(
        self, out: str | os.PathLike[str], weights: str | os.PathLike[str] | None = None
    ) -> None:
        """Show the model at work, on the CPU.

        Args:
            out: folder for the picture.
            weights: as for ``evaluate``.

        Raises:
            ValueError: no weights, or the recipe has nothing to show.
        """
        if self.show is None:
            raise ValueError(f"the recipe {self.name} has no demo")
        self.show(self.load(weights, device="cpu"), Path(out))

    def load(self, weights: str | os.PathLike[str] | None = None, *, device: str = "auto") -> Model:
        """The model with some weights; arguments and errors as of ``evaluate``."""
        path = self.ships if weights is None else Path(weights)
        if path is None:
            raise ValueError(self.no_weights)
        if read_metadata(path):
            model = load_model(path)
        else:  # weights alone
            model = self.build()
            load_weights(model, Source(path))
        return model.to(find_device(device))

    def fit(self, model: Model, run: Run) -> None:
        """The main stage: ``model`` learns ``data["train"]`` by the schedule."""
        options = dict(self.schedule(model, run.device))
        if "val" in self.data:
            options |= {"val_data": self.data["val"](), "evaluate": self.metrics}
        run.fit(model, self.data["train"](), **options)

    def keep(self, model: Model, run: Run) -> dict[str, Any]:
        """Write the weights, and measure what was written."""
        weights = run.out / "model.safetensors"  # fit's
        if model.model_name:  # of create_model: a file by itself can tell which
            weights = run.out / f"{self.name}.safetensors"
            save_model(weights, model, half=True)
        return self.evaluate(weights, device=run.device)
