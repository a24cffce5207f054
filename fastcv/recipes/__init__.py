"""Recipes: data, model, schedule and the level it reaches, one module for each trained result.

``fastcv train NAME`` runs one. A recipe is a module of this package with

- ``train(out, *, seed, epochs, device, workers)``: trains, and returns what ``evaluate`` found,
- ``evaluate(weights=None, *, device)``: the metrics of some weights, or of those that ship,
- ``demo(out)``, where it has something to show.
"""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from types import ModuleType


def list_recipes() -> list[str]:
    """The recipes' names.

    Example:
        >>> from fastcv import recipes
        >>> "digits_detector" in recipes.list_recipes()
        True
    """
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def get(name: str) -> ModuleType:
    """A recipe by name.

    Raises:
        ValueError: there is none; the message names the nearest.
    """
    names = list_recipes()
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(names)}"
        raise ValueError(f"no recipe {name!r}: {hint}")
    return importlib.import_module(f"{__name__}.{name}")
