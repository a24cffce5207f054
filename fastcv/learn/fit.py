"""The one training loop."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from fastcv.data.protocols import SizedDataset
from fastcv.learn._batches import Order, make_loader
from fastcv.learn._classes import take_class_names
from fastcv.learn._ema import EMA
from fastcv.learn._fabric import launch
from fastcv.learn._interrupt import Interrupt
from fastcv.learn._log import Log
from fastcv.learn._player import MakeOptimizer, MakeScheduler, Player, make_players
from fastcv.learn._run import Run
from fastcv.learn._seed import seed_all
from fastcv.learn._settings import check, settings_of
from fastcv.learn._turn import Batch
from fastcv.learn.history import History, Row
from fastcv.models._mode import alone

if TYPE_CHECKING:
    from lightning.fabric import Fabric


def fit(
    model: nn.Module,
    train_data: SizedDataset,
    *,
    epochs: int,
    batch_size: int,
    optimizer: MakeOptimizer | Mapping[str, MakeOptimizer],
    scheduler: MakeScheduler | Mapping[str, MakeScheduler] | None = None,
    every: Mapping[str, int] | None = None,
    val_data: Any = None,
    evaluate: Callable[[Any, Any], Mapping[str, Any]] | None = None,
    best: str | None = None,
    samples: Callable[[Any], Any] | None = None,
    out: str | os.PathLike[str] = "runs/fit",
    seed: int = 0,
    precision: Any = "32-true",
    accumulate: int = 1,
    clip_norm: float | None = None,
    ema_decay: float | None = None,
    workers: int = 0,
    collate_fn: Callable[[list[Any]], Any] | None = None,
    devices: str = "auto",
    strategy: Any = "auto",
    resume: bool = True,
    save_every: int | None = None,
    progress: bool = True,
    tensorboard: bool | None = None,
) -> History:
    """Train a model on one process, or on those that torchrun started.

    Each step runs ``model.loss(model(images), targets)``, a dict of named scalars, and minimises
    their sum. A system of several players names them in ``model.players``, a dict of its
    sub-modules (a list of them where a player has several): in each step they take turns in the
    order of the dict, each with ``loss(..., player=name)`` and with only its own parameters
    trained. Where ``model.shared_forward`` is true, ``model(images)`` is run once a step, and all
    turns get that output.

    The same arguments give the same run: in one go or resumed after any step (to the bit on a
    CPU), with any number of workers, and on any number of processes as far as each term is a mean
    over images and no layer looks across the batch.

    ``out`` gets ``last.pt`` (the checkpoint), ``model.safetensors`` (the last weights; the
    averaged ones with EMA), ``best.safetensors``, ``history.csv``, ``epochs.csv``, ``curves.png``,
    ``samples/`` and ``tensorboard/``. Ctrl-C and SIGTERM save after the step at hand; the same
    call goes on.

    Other threads may predict with the model meanwhile. They wait for the step at hand and the next
    step for them, so that the training is what it would be without them.

    The model takes the class names of ``train_data.classes`` where it has as many. Of a model that
    ``create_model`` made, both files of weights note name, config and class names: ``load_model``
    and the commands need nothing else.

    Args:
        model: a module with ``loss``. It is trained in place, and ends with the weights of
            ``model.safetensors``, on the device it was trained on.
        train_data: a map-style dataset of ``(image, target)``.
        epochs: passes over the data; the last ``len(train_data) % batch_size`` of each shuffled
            pass are left out.
        batch_size: images in a step, over all processes.
        optimizer: makes the optimiser from a list of parameters; for several players a dict.
        scheduler: makes the schedule of the learning rate from an optimiser and the number of
            steps in the whole run; it is stepped after each step. A dict gives each player its
            own. For a player with ``every``, only the steps that train it count.
        every: by player, how many steps it waits for its turn: with ``{"generator": 5}`` it is
            trained in steps 5, 10, ...; a player left out is trained in each, and one must be.
        val_data: is passed to ``evaluate``.
        evaluate: called as ``evaluate(model, val_data)`` after each epoch, in eval mode and
            without gradients, with the averaged weights if there are any; returns numbers by
            name (what else it returns is left out). It runs on rank 0, and on all processes
            where the model is sharded.
        best: the metric by which the best weights are kept; greater is better.
        samples: called as ``samples(model)`` after each epoch, as ``evaluate`` is but with the
            same random numbers each time; returns a PIL image, or a tensor ``[N, 3, H, W]`` or
            ``[N, 1, H, W]`` in [0, 1]. The sheet is ``samples/epoch_0001.png`` in ``out``.
        out: folder for what the run writes.
        seed: of the shuffling, of each step's random numbers and of each item's.
        precision: ``"32-true"``, ``"bf16-mixed"`` or ``"16-mixed"``.
        accumulate: run each step in so many parts, to save memory; the step stays the same.
        clip_norm: the greatest norm of a player's gradients.
        ema_decay: keep a moving average of the weights, with this decay once it is warm.
        workers: processes that load data, for each process that trains.
        collate_fn: makes ``(images, targets)`` of a list of items; by default the dataset's own
            ``collate`` if it has one, else ``fastcv.data.collate`` where targets are dicts, and
            stacked tensors elsewhere.
        devices: ``"auto"`` (GPUs if there are any), ``"cpu"`` or ``"cuda"``; how many, torchrun
            says.
        strategy: ``"auto"`` (DDP where there are several processes), ``"fsdp"``, or one of
            Fabric's names or objects.
        resume: go on from ``last.pt`` if it is there; otherwise start anew, over it.
        save_every: save also after so many steps, not only after epochs.
        progress: show bars and sentences.
        tensorboard: write TensorBoard files; by default where it is installed.

    Returns:
        The losses of each step and the metrics of each epoch.

    Raises:
        ValueError: an argument is out of its range, or the checkpoint has other settings, or a
            loss or a weight is NaN or infinite.
        SystemExit: someone asked to stop; the run is saved.
        ImportError: an optional package is missing.

    Example:
        >>> import tempfile, torch, fastcv
        >>> class Line(torch.nn.Linear):
        ...     def loss(self, output, targets):
        ...         return {"square": (output - targets).square().mean()}
        >>> x = torch.linspace(-1, 1, 32)[:, None]
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     history = fastcv.learn.fit(
        ...         Line(1, 1), torch.utils.data.TensorDataset(x, 3 * x), epochs=20, batch_size=8,
        ...         optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.3), out=folder,
        ...         devices="cpu", progress=False, tensorboard=False,
        ...     )
        >>> history.steps[-1]["square"] < 1e-3
        True
    """
    fabric = launch(devices, strategy, precision)
    check(train_data, epochs, batch_size, accumulate, fabric.world_size)
    for name, needs in (("val_data", val_data), ("best", best)):
        if needs is not None and evaluate is None:
            raise ValueError(f"{name} needs evaluate, which says what to measure")
    order = Order(
        len(train_data),
        batch_size=batch_size,
        parts=accumulate,
        seed=seed,
        rank=fabric.global_rank,
        processes=fabric.world_size,
    )
    loader = make_loader(
        train_data,
        order,
        workers=workers,
        collate_fn=collate_fn,
        pin_memory=fabric.device.type == "cuda",
    )
    take_class_names(model, train_data)
    players = make_players(fabric, model, optimizer, scheduler, every, epochs * order.steps)
    settings = settings_of(
        model,
        players,
        length=order.length,
        epochs=epochs,
        batch_size=batch_size,
        accumulate=accumulate,
        seed=seed,
        precision=precision,
        clip_norm=clip_norm,
        ema_decay=ema_decay,
    )
    ema = None if ema_decay is None else EMA(model, ema_decay)
    run = Run(fabric, Path(out), model, ema, players, settings)
    first_epoch, first_step = run.resume() if resume else (0, 0)
    history = run.history
    log = Log(run.folder, fabric.is_global_zero, progress, tensorboard, len(history.steps))
    with log, Interrupt(fabric) as interrupt:
        for epoch in range(first_epoch, epochs):
            model.train()
            order.epoch, order.first_step = epoch, first_step
            batches = iter(loader)
            log.start_epoch(epoch, epochs, first_step * batch_size, order.steps * batch_size)

            for step in range(first_step, order.steps):
                row: Row = {"epoch": epoch + 1, "step": epoch * order.steps + step + 1}
                parts = [fabric.to_device(next(batches)) for _ in range(accumulate)]
                seed_all(seed, epoch, step, fabric.global_rank)
                with alone(model):  # other threads may predict with it between two steps
                    _take_turns(fabric, players, parts, row, clip_norm)
                    if ema is not None:
                        ema.update(model)
                history.steps.append(row)
                log.step(row, batch_size)

                stop = interrupt.asked()
                if stop or (save_every and (step + 1) % save_every == 0):
                    run.save(epoch, step + 1)
                if stop:
                    run.leave()

            if evaluate is not None or samples is not None:
                run.save(epoch, order.steps)  # first: a mistake in these must not cost an epoch
                model.eval()
            if evaluate is not None:
                seed_all(seed, epoch, order.steps, fabric.global_rank)
                metrics = run.evaluate(evaluate, val_data)
                row = {"epoch": epoch + 1, "step": (epoch + 1) * order.steps, **metrics}
                history.epochs.append(row)
                log.metrics(row)
                if best is not None:
                    run.keep_best(best, metrics)
            if samples is not None:
                seed_all(seed)  # the same each time: what differs is what was learned
                run.sample(samples, f"samples/epoch_{epoch + 1:04}.png")
            first_step = 0
            run.save(epoch + 1, first_step)
            if interrupt.asked():
                run.leave()

        run.finish()
    return history


def _take_turns(
    fabric: Fabric, players: list[Player], parts: list[Any], row: Row, clip_norm: float | None
) -> None:
    """One step: the players whose turn it is train one after the other; ``row`` gets the terms."""
    batches = [Batch(part) for part in parts]
    turns = [player for player in players if row["step"] % player.every == 0]
    for player in turns:
        losses = player.backward(fabric, batches, last=player is turns[-1])
        terms = _mean_over_processes(fabric, losses)
        _check_finite(terms, row)
        row |= {player.label("lr"): player.lr, **terms}
        player.update(fabric, clip_norm)


def _mean_over_processes(fabric: Fabric, terms: dict[str, Tensor]) -> Row:
    """The terms as numbers: one wait for the device, not one for each."""
    values: Any = fabric.all_reduce(torch.stack(list(terms.values())))
    return dict(zip(terms, values.tolist(), strict=True))


def _check_finite(terms: Row, row: Row) -> None:
    for name, value in terms.items():
        if not math.isfinite(value):
            raise ValueError(
                f"the loss term {name} is {value} in epoch {row['epoch']:.0f}, step "
                f"{row['step']:.0f}: training has diverged (a lower learning rate, a warm-up or "
                "clip_norm may keep it from that), or the data has a value that is not finite"
            )
