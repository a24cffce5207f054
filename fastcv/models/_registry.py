"""The list of models: each builder registers itself under a name."""

from __future__ import annotations

import difflib
import functools
import importlib
import inspect
import os
import pkgutil
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import fastcv.models
from fastcv.models._model import Model
from fastcv.models._other_counts import COUNTED, load_for_counts
from fastcv.models._weights import Weights, fetch, load_weights, read_metadata

Builder = TypeVar("Builder", bound=Callable[..., Model])


@dataclass(frozen=True)
class Entry:
    """What is known of a model by name."""

    name: str
    task: str
    build: Callable[..., Model]
    weights: tuple[Weights, ...]


_entries: dict[str, Entry] = {}


def register(
    name: str, *, task: str, weights: Sequence[Weights] = ()
) -> Callable[[Builder], Builder]:
    """Decorates a builder, so that ``create_model(name, ...)`` calls it.

    Args:
        name: such as ``"fasterrcnn_resnet50_fpn"``; compared without case, ``_`` and ``-``.
        task: such as ``"detection"``.
        weights: the published weights, the best last.

    Raises:
        ValueError: the name is taken by another builder.
    """

    def decorate(build: Builder) -> Builder:
        entry = Entry(name, task, build, tuple(weights))
        known = _entries.setdefault(_key(name), entry)
        if known.build.__module__ != build.__module__:
            raise ValueError(f"model {name!r} is registered already, by {known.build.__module__}")
        _entries[_key(name)] = entry
        return build

    return decorate


def list_models(task: str | None = None) -> list[str]:
    """The models' names, sorted.

    Args:
        task: only those of this task, such as ``"detection"``.

    Raises:
        ValueError: no model has this task.

    Example:
        >>> import fastcv
        >>> "fasterrcnn_resnet50_fpn" in fastcv.list_models("detection")
        True
    """
    _import_models()
    tasks = sorted({entry.task for entry in _entries.values()})
    if task is not None and task not in tasks:
        raise ValueError(f"task must be one of {', '.join(tasks)}, got {task!r}")
    return sorted(e.name for e in _entries.values() if task in (None, e.task))


def find_model(name: str) -> Entry:
    """The entry of a model.

    Raises:
        ValueError: there is none; the sentence names the nearest.
    """
    _import_models()
    if _key(name) in _entries:
        return _entries[_key(name)]
    near = difflib.get_close_matches(_key(name), _entries, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(_entries[key].name for key in near)}?"
    raise ValueError(
        f"there is no model {name!r}: {hint if near else 'fastcv.list_models() names them all'}"
    )


def create_model(
    name: str,
    weights: str | None = None,
    *,
    classes: Sequence[str] | None = None,
    **config: Any,
) -> Model:
    """Builds a model, and loads weights where asked.

    With ``classes`` or ``num_classes`` the weights may be of other classes. Then all is loaded but
    the tensors whose shape the number of classes decides: those keep their random start, and a
    warning names them. Nothing else may be missing, left over or of another shape.

    Args:
        name: one of ``list_models()``; ``-`` and capitals are fine too.
        weights: the name of published weights, ``"default"`` for the best of them, a local
            ``.pth`` or ``.safetensors``, or a URL. None: random weights.
        classes: names by label, as data sets have them: of detectors and segmenters label 0 is the
            background. Where the builder takes ``num_classes``, that is their number.
        config: what the builder takes, such as ``num_classes``. What a file that fastcv wrote
            notes of the same model holds where it is not given.

    Returns:
        The model in training mode on the CPU, as modules are born; ``predict`` needs no ``eval()``.

    Raises:
        ValueError: unknown model or weights, weights that do not fit the model, or not one name
            for each class.
        TypeError: a keyword that the builder does not take.
        FileNotFoundError: ``weights`` looks like a path and is not there.
        ConnectionError: the weights cannot be downloaded.

    Example:
        >>> import fastcv
        >>> model = fastcv.create_model("resnet18", num_classes=10)
        >>> model.model_name, model.model_config
        ('resnet18', {'num_classes': 10})
        >>> import pathlib, tempfile, warnings
        >>> path = pathlib.Path(tempfile.mkdtemp(), "ten.safetensors")
        >>> fastcv.save_model(path, model)
        >>> with warnings.catch_warnings(record=True) as told:
        ...     warnings.simplefilter("always")
        ...     model = fastcv.create_model("resnet18", str(path), classes=("cat", "dog"))
        >>> model.fc.out_features, model.classes
        (2, ('cat', 'dog'))
        >>> str(told[0].message).partition(" is of ")[2]
        'other classes: these tensors keep their random start: fc.weight, fc.bias'
        >>> fastcv.create_model("resnet-81")
        Traceback (most recent call last):
        ...
        ValueError: there is no model 'resnet-81': did you mean resnet18 ...?
    """
    entry = find_model(name)
    _check_config(entry, config)
    _check_classes(classes, config)
    # Before the model is built: a typo or a failed download shows at once.
    source = None if weights is None else fetch(str(weights), entry.weights, entry.name)
    takes = _keywords(entry.build) or ()
    if classes is not None and "num_classes" in takes:
        config["num_classes"] = len(classes)
    may_differ = [name for name in COUNTED if name in takes and name in config]
    if source is not None:
        _check_config(entry, source.config)
        config = {**source.config, **config}
    model = entry.build(**config)
    model.model_name, model.model_config = entry.name, config
    if classes is not None and len(classes) != len(model.classes):
        raise ValueError(
            f"classes must be {len(model.classes)} names, as {entry.name} has, got {len(classes)}"
        )
    if source is not None and may_differ:
        load_for_counts(model, source, entry.build, classes, may_differ)
    elif source is not None:
        load_weights(model, source)
    if classes is not None:
        model.classes = tuple(classes)
    return model


def _check_classes(classes: Sequence[str] | None, config: dict[str, Any]) -> None:
    if classes is None:
        return
    if isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
        raise TypeError(f"classes must be names, such as ('cat', 'dog'), got {classes!r}")
    if config.get("num_classes", len(classes)) != len(classes):
        raise ValueError(
            f"classes must be {config['num_classes']} names, one for each of num_classes, got "
            f"{len(classes)}"
        )


def load_model(path: str | os.PathLike[str]) -> Model:
    """The model that ``save_model`` wrote: architecture, weights and classes by the file alone.

    Raises:
        ValueError: the file does not say which model it is; ``create_model(name, weights=path)``
            may still load it.
        FileNotFoundError: no such file.

    Example:
        >>> import pathlib, tempfile, fastcv
        >>> path = pathlib.Path(tempfile.mkdtemp(), "mine.safetensors")
        >>> fastcv.save_model(path, fastcv.create_model("resnet18", num_classes=10), half=True)
        >>> fastcv.load_model(path).fc
        Linear(in_features=512, out_features=10, bias=True)
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    noted = read_metadata(path)
    if "model" not in noted:
        raise ValueError(
            f"{path} does not say which model it is: pass its name too, as in "
            "create_model(name, weights=path)"
        )
    return create_model(noted["model"], weights=str(path))


def _key(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


@functools.cache
def _import_models() -> None:
    """Imports every module under fastcv.models once, so that all have registered."""
    for module in pkgutil.walk_packages(fastcv.models.__path__, "fastcv.models."):
        importlib.import_module(module.name)


def _check_config(entry: Entry, config: Mapping[str, Any]) -> None:
    takes = _keywords(entry.build)
    if takes is None:
        return
    for name in config:
        if name not in takes:
            near = difflib.get_close_matches(name, takes, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise TypeError(
                f"{entry.name} does not take {name!r}{hint}: it takes {', '.join(takes) or 'none'}"
            )


def _keywords(build: Callable[..., Any]) -> list[str] | None:
    """What a builder takes by keyword; None where that cannot be told.

    ``**config`` goes on to the class that the builder returns, and from there to its bases.
    """
    names: dict[str, None] = {}
    for function in _chain(build):
        parameters = inspect.signature(function).parameters.values()
        for p in parameters:
            if p.default is not p.empty or p.kind is p.KEYWORD_ONLY:
                names[p.name] = None
        if all(p.kind is not p.VAR_KEYWORD for p in parameters):
            return list(names)
    return None


def _chain(build: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    yield build
    made = typing.get_type_hints(build).get("return")
    if inspect.isclass(made):
        yield from (vars(c)["__init__"] for c in made.__mro__ if "__init__" in vars(c))
