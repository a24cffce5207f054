"""The model that learns: by name, with weights to begin with, some of its parts kept."""

from __future__ import annotations

import os
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
) -> Model:
    """The model for these classes.

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
    given = {"num_classes": len(classes), **config(takes)}
    path = None if weights is None else Path(weights).expanduser()
    if path is not None and path.is_file():  # as wide and as deep as the model of the weights
        given = {**read_metadata(path).get("config", {}), **given}
    model = create_model(name, None if weights is None else os.fspath(weights), **given)
    model.classes = tuple(classes)
    return model


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
