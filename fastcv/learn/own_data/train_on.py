"""From annotated pictures of one's own to a trained model, in one call."""

from __future__ import annotations

import copy
import importlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from fastcv._device import find_device
from fastcv._extras import need
from fastcv._files import replacing
from fastcv.learn._batches import collate_of
from fastcv.learn.fit import fit
from fastcv.learn.own_data._model import freeze_parts, make_model, name_in
from fastcv.learn.own_data._pictures import Annotated, shared, without_objects
from fastcv.learn.own_data._plan import make_plan
from fastcv.learn.own_data._sheets import SHOWN, save_predictions, save_targets
from fastcv.models import Model, load_model
from fastcv.models._tasks import TASKS, Data, Task, task_of_model

Where = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


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

    name = model or name_in(weights)
    task, source = _task_and_data(name, data)
    training, evaluate = task.training, task.evaluate
    assert training is not None and evaluate is not None and source.own is not None

    def measure(model: Any, pictures: Any) -> dict[str, Any]:
        return evaluate(model, pictures, {"progress": progress})

    lessons: Any = importlib.import_module(training.module)
    augment = augment or training.augment[0]
    if augment not in training.augment:
        raise ValueError(f"augment must be one of {', '.join(training.augment)}, got {augment!r}")
    folder = Path(out or f"runs/{name}")
    _check_folder(folder, resume)
    on = find_device(device)
    for module in ("lightning.fabric", "matplotlib.figure"):  # before hours of training, not after
        need(module, extra="train")

    opener = getattr(lessons, source.own)
    (given,) = data.values()
    train_set, val_set = _open(opener, source, given, val, val_fraction, seed)
    suspicious = [*without_objects(train_set), *train_set.suspicious]
    if val is not None:
        suspicious += shared(train_set, val_set)
        suspicious += [f"to validate on: {told}" for told in val_set.suspicious]
    say(*train_set.report("to train on"), *val_set.report("to validate on"))
    if suspicious:
        say("suspicious:", *(f"  {told}" for told in suspicious))
    if rank0:
        _note(folder, train_set, val_set, suspicious, resume)

    torch.manual_seed(seed)
    made, told = make_model(
        name, weights, train_set.classes, lambda takes: lessons.config(size, takes)
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
        count = min(plan.batch_size, SHOWN, len(examples))
        items = [examples[i] for i in torch.randperm(len(examples))[:count].tolist()]
        known = [(image, lessons.truth(image, t, made.classes)) for image, t in items]
        save_targets(folder / "batch.jpg", known)
        say(f"a batch with its targets: {folder / 'batch.jpg'}")
        _rehearse(made, measure, items, collate_of(examples), val_set)

    try:
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
    except SystemExit as stop:
        if not isinstance(stop.code, str):  # of another process than the first
            raise
        going_on = stop.code.replace("the same command goes", "the same with resume goes")
        raise SystemExit(going_on) from None
    best = folder / "best.safetensors"
    kept = load_model(best).to(on)
    if not rank0:
        return Trained(kept, {}, best)
    metrics = measure(kept, val_set.data)
    with replacing(folder / "metrics.json") as temporary:
        temporary.write_text(json.dumps(metrics, indent=1) + "\n", "utf-8")
    _draw_predictions(folder / "predictions.jpg", kept, task, lessons, val_set)
    return Trained(kept, metrics, best)


def _task_and_data(name: str, data: dict[str, Where]) -> tuple[Task, Data]:
    """The model's task, and which of its ways to name pictures was taken."""
    task = task_of_model(name)
    ways = {way.option.name: way for way in task.data if way.own is not None}
    if task.training is None or not ways or not task.training.takes_model(name):
        able = [other.models for other in TASKS if other.training and other is not task]
        raise ValueError(
            f"{name} is one of the {task.models}, which cannot be trained on pictures of your "
            f"own; {', '.join(able)} can"
        )
    if len(data) != 1 or not set(data) <= set(ways):
        raise ValueError(
            f"{name} is one of the {task.models}: the pictures to train on must be given as one "
            f"of {', '.join(ways)}, got {', '.join(data) or 'none'}"
        )
    return task, ways[next(iter(data))]


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


def _open(
    opener: Callable[..., Annotated],
    source: Data,
    given: Where,
    val: Where | None,
    fraction: float,
    seed: int,
) -> tuple[Annotated, Annotated]:
    train = opener(*_values(source, source.option.name, given))
    if val is not None:
        return train, opener(*_values(source, "val", val), classes=train.classes)
    parts = train.split(fraction, seed)
    for part, purpose in zip(parts, ("train", "validate"), strict=True):
        if not part.objects():
            raise ValueError(
                f"the pictures to {purpose} on have no objects: pass val, or another val_fraction"
            )
    return parts


def _values(source: Data, name: str, given: Where) -> list[str]:
    """As many as the way to name pictures has."""
    values = [given] if isinstance(given, (str, os.PathLike)) else list(given)
    if len(values) != source.values:
        meta = source.option.settings["metavar"]
        raise ValueError(
            f"{name} must be {' '.join([meta] if isinstance(meta, str) else meta)}, got "
            f"{len(values)} values"
        )
    return [os.fspath(value) for value in values]


def _note(
    folder: Path, train: Annotated, val: Annotated, suspicious: list[str], resume: bool
) -> None:
    """``found.json``; a run that goes on must have the classes it had."""
    path = folder / "found.json"
    if resume and path.exists():
        before = json.loads(path.read_text("utf-8"))["classes"]
        if before != list(train.classes):
            raise ValueError(f"cannot resume: the classes were {before}, now {list(train.classes)}")
    found = {
        "classes": list(train.classes),
        "train": train.to_dict(),
        "val": val.to_dict(),
        "suspicious": suspicious,
    }
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def _rehearse(
    model: Model,
    measure: Callable[[Any, Any], Any],
    items: list[Any],
    collate: Callable[..., Any],
    val: Annotated,
) -> None:
    """One loss and one measurement: a mistake must show now, not after an epoch.

    Raises:
        ValueError: the model cannot learn from these pictures.
    """
    images, targets = collate(items)
    other = copy.deepcopy(model)  # norms note what passes through them
    try:
        with torch.no_grad():
            other.loss(other(images), targets)
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{model.model_name} cannot learn from these pictures as they come: {error}"
        ) from error
    with_object = next(i for i, labels in enumerate(val.labels) if labels)
    with torch.no_grad():
        measure(other.eval(), val.part([with_object]).data)


def _workers(device: torch.device, processes: int) -> int:
    """Processes that load pictures, for each that trains: none beside a CPU that is busy anyway."""
    if device.type == "cpu":
        return 0
    return min(8, max(1, (os.cpu_count() or 1) // processes - 1))


def _draw_predictions(path: Path, model: Model, task: Task, lessons: Any, val: Annotated) -> None:
    """A sheet of pictures that validate, evenly out of all."""
    options = {k: v for k, v in task.predict_defaults.items() if k in model.predict_options()}
    n = min(SHOWN, len(val))
    shown = []
    for index in [int((i + 0.5) * len(val) / n) for i in range(n)]:
        image, target = val.data[index]
        (found,) = model.predict(image, **options)
        shown.append((image, lessons.truth(image, target, model.classes), found))
    save_predictions(path, shown)
