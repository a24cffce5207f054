"""The model that learns: by name, with weights to begin with, some of its parts kept."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from fastcv.learn.transfer import freeze
from fastcv.models import Model, create_model
from fastcv.models._registry import _keywords, find_model
from fastcv.models._weights import read_metadata


def name_in(weights: str | os.PathLike[str] | None) -> str:
    """The model that a weights' file names.

    Raises:
        ValueError: no file, or one that names none.
    """
    path = None if weights is None else Path(weights).expanduser()
    noted = read_metadata(path) if path is not None and path.is_file() else {}
    if "model" not in noted:
        raise ValueError(
            "which model? Name one (`fastcv models` lists them), or pass weights that name theirs"
        )
    return str(noted["model"])


def make_model(
    name: str,
    weights: str | os.PathLike[str] | None,
    classes: Sequence[str],
    config: Callable[[Sequence[str]], dict[str, Any]],
) -> tuple[Model, list[str]]:
    """The model for these classes, and what is to be told of its weights.

    Args:
        name: of ``list_models()``.
        weights: to begin with.
        classes: names by label.
        config: what else the builder is told, by the keywords it takes.

    Raises:
        ValueError: its classes cannot be chosen.
    """
    takes = _keywords(find_model(name).build) or []
    if "num_classes" not in takes:
        raise ValueError(f"{name} cannot learn classes of your own")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = create_model(
            name, None if weights is None else os.fspath(weights), classes=classes, **config(takes)
        )
    told = [str(warning.message) for warning in caught]
    published = find_model(name).weights if weights is None else ()
    if published:
        told.append(f"from random weights; published ones may be better: {published[-1].name}")
    return model, told


def freeze_parts(model: Model, parts: Sequence[str]) -> None:
    """Keep parts of the model as they are.

    Raises:
        ValueError: there is no such part.
    """
    known = dict(model.named_modules())
    for part in parts:
        if not part or part not in known:
            raise ValueError(
                f"freeze: {model.model_name} has no part {part!r}; it has "
                f"{', '.join(name for name, _ in model.named_children())}"
            )
        freeze(known[part])
