"""From annotated pictures of one's own to a trained model, in one call."""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fastcv._device import find_device
from fastcv._extras import need
from fastcv._files import replacing
from fastcv.draw.typeface import FontPath, Typeface
from fastcv.learn._batches import collate_of
from fastcv.learn.fit import fit
from fastcv.learn.own_data._found import note, what_looks_wrong
from fastcv.learn.own_data._given import Where, open_sets, task_and_data
from fastcv.learn.own_data._model import freeze_parts, make_model, name_in
from fastcv.learn.own_data._plan import make_plan
from fastcv.learn.own_data._rehearsal import rehearse
from fastcv.learn.own_data._sheets import SHOWN, save_predictions, save_targets
from fastcv.models import Model, load_model
from fastcv.models._tasks import Training


@dataclass(frozen=True)
class Trained:
    """What came of it.

    Args:
        model: with the best weights, on the device it was trained on.
        metrics: of those weights, on the pictures that validate.
        weights: the file that ``fastcv predict --weights`` takes, in the run's folder.
    """

    model: Model
    metrics: dict[str, Any]
    weights: Path


def train_on(
    model: str | None = None,
    *,
    val: Where | None = None,
    val_fraction: float = 0.1,
    weights: str | os.PathLike[str] | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    lr: float | None = None,
    size: int | None = None,
    freeze: Sequence[str] = (),
    augment: str | None = None,
    device: str = "auto",
    out: str | os.PathLike[str] | None = None,
    seed: int = 0,
    resume: bool = False,
    font: FontPath | None = None,
    progress: bool = True,
    **data: Where,
) -> Trained:
    """Train a model on annotated pictures of one's own; ``fastcv train --model`` calls it.

    It says first what it found and what looks wrong, then draws a batch with its targets, trains,
    measures after each epoch, and keeps the best weights. ``out`` gets ``found.json``,
    ``batch.jpg``, ``best.safetensors``, ``metrics.json``, ``predictions.jpg`` (targets on the left,
    predictions on the right), and what ``fit`` writes, ``curves.png`` among it. Under torchrun
    several processes share each batch.

    Args:
        model: a name out of ``list_models()``; None: the one that the weights' file names.
        data: one of ``coco=(images, json)``, ``voc=(root, image_set)``, ``folder=root`` and
            ``masks=(images, masks)``, as the model's task has it: the pictures to train on.
        val: such values again, of the pictures to validate on; None: a part of the others.
        val_fraction: that part.
        weights: to begin with, as of ``create_model``; what does not fit other classes starts at
            random. None: random weights.
        epochs: passes over the pictures; by default by their number.
        batch_size: pictures in a step, over all processes.
        lr: the greatest learning rate; by default by the batch size.
        size: in pixels: a detector's shorter side, a classifier's square, the squares that a
            segmenter learns from.
        freeze: names of parts of the model that stay as they are, such as ``"backbone"``.
        augment: ``"flip"`` (another light, mirrored), ``"color"`` (another light), ``"strong"`` or
            ``"none"``.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:N"``.
        out: folder for the run; by default ``runs/MODEL``.
        seed: of whatever is random.
        resume: go on with the run in ``out``.
        font: of the names in ``batch.jpg`` and ``predictions.jpg``, as of ``Detections.draw``.
        progress: say what is done, and show bars.

    Returns:
        The model with its best weights, what it reached, and the file.

    Raises:
        FileNotFoundError, ValueError: pictures, annotations or arguments that cannot be; one
            sentence says which.
        ImportError: an optional package is missing.
        SystemExit: someone asked to stop; the run is saved.

    Example:
        >>> import pathlib, tempfile, torch
        >>> from PIL import Image
        >>> from fastcv.learn import train_on
        >>> root = pathlib.Path(tempfile.mkdtemp())
        >>> for name, value in (("dark", 20), ("light", 230)):
        ...     (root / "data" / name).mkdir(parents=True)
        ...     for i in range(4):
        ...         Image.new("L", (40, 40), value + i).save(root / "data" / name / f"{i}.png")
        >>> trained = train_on(
        ...     "linear", folder=root / "data", val_fraction=0.5, epochs=2, device="cpu",
        ...     out=root / "run", progress=False,
        ... )
        >>> trained.weights.name, trained.model.classes, 0 <= trained.metrics["acc@1"] <= 1
        ('best.safetensors', ('dark', 'light'), True)
    """
    rank0, processes = int(os.environ.get("RANK", 0)) == 0, int(os.environ.get("WORLD_SIZE", 1))

    def say(*lines: str) -> None:
        if rank0 and progress and lines:
            print(*lines, sep="\n", flush=True)

    # All that can be refused before a picture is looked at.
    name = model or name_in(weights)
    task, way = task_and_data(name, data)
    training, evaluate = task.training, task.evaluate
    assert training is not None and evaluate is not None and way.own is not None
    augment = _way_to_augment(training, augment)
    folder = Path(out or f"runs/{name}")
    _check_folder(folder, resume)
    on = find_device(device)
    for module in ("lightning.fabric", "matplotlib.figure"):  # before hours of training, not after
        need(module, extra="train")
    if font is not None:
        Typeface(12, font)
    lessons: Any = importlib.import_module(training.module)

    def measure(model: Any, pictures: Any) -> dict[str, Any]:
        return evaluate(model, pictures, {"progress": progress})

    # The pictures.
    (given,) = data.values()
    train_set, val_set = open_sets(getattr(lessons, way.own), way, given, val, val_fraction, seed)
    suspicious = what_looks_wrong(train_set, val_set, val_is_own=val is not None)
    say(*train_set.report("to train on"), *val_set.report("to validate on"))
    if suspicious:
        say("suspicious:", *(f"  {told}" for told in suspicious))
    if rank0:
        note(folder, train_set, val_set, suspicious, resume)

    # The model, and how it is to learn.
    torch.manual_seed(seed)
    made, told = make_model(
        name,
        weights,
        train_set.classes,
        lambda takes: {**lessons.config(size, takes), **train_set.config},
    )
    say(*told)
    freeze_parts(made, freeze)
    plan = make_plan(
        training,
        len(train_set),
        processes=processes,
        from_weights=weights is not None,
        epochs=epochs,
        batch_size=batch_size,
        lr=lr,
    )
    examples = lessons.examples(made, train_set, augment, size)
    say(f"{name} on {on}: {plan}")
    if rank0:
        shown = torch.randperm(len(examples))[: min(plan.batch_size, SHOWN)].tolist()
        items = [examples[i] for i in shown]
        save_targets(folder / "batch.jpg", items, lessons.truth, made.classes, font)
        say(f"a batch with its targets: {folder / 'batch.jpg'}")
        rehearse(made, collate_of(examples)(items), measure, val_set)

    with _a_stop_names_resume():
        fit(
            made,
            examples,
            **plan.options(on.type),
            val_data=val_set.data,
            evaluate=measure,
            best=training.best,
            out=folder,
            seed=seed,
            workers=_workers(on, processes),
            devices=str(on),
            resume=resume,
            progress=progress,
        )

    # What came of it.
    best = folder / "best.safetensors"
    kept = load_model(best).to(on)
    if not rank0:
        return Trained(kept, {}, best)
    metrics = measure(kept, val_set.data)
    with replacing(folder / "metrics.json") as temporary:
        temporary.write_text(json.dumps(metrics, indent=1) + "\n", "utf-8")
    sheet = folder / "predictions.jpg"
    save_predictions(sheet, kept, val_set, dict(task.predict_defaults), lessons.truth, font)
    return Trained(kept, metrics, best)


def _way_to_augment(training: Training, asked: str | None) -> str:
    augment = asked or training.augment[0]
    if augment not in training.augment:
        raise ValueError(f"augment must be one of {', '.join(training.augment)}, got {augment!r}")
    return augment


def _check_folder(folder: Path, resume: bool) -> None:
    there = (folder / "last.pt").exists()
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"out must be a folder, and {folder} is a file")
    if there and not resume:
        raise ValueError(
            f"{folder} holds a run already: resume goes on with it, another out starts a new one"
        )
    if resume and not there:
        raise ValueError(f"there is no run to resume in {folder}: it has no last.pt")


@contextmanager
def _a_stop_names_resume() -> Iterator[None]:
    """``fit`` goes on by itself; ``train_on`` does where it is told to."""
    try:
        yield
    except SystemExit as stop:
        if not isinstance(stop.code, str):  # of another process than the first
            raise
        going_on = stop.code.replace("the same command goes", "the same with resume goes")
        raise SystemExit(going_on) from None


def _workers(device: torch.device, processes: int) -> int:
    """Processes that load pictures, for each that trains: none beside a CPU that is busy anyway."""
    if device.type == "cpu":
        return 0
    return min(8, max(1, (os.cpu_count() or 1) // processes - 1))
