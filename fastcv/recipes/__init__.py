"""Recipes: data, model, schedule and the level it reaches, one module for each trained result,
in a folder for each chapter.

``fastcv train NAME`` runs one. A recipe is a module of this package with

- ``train(out, *, seed, epochs, device, workers)``: trains, and returns what ``evaluate`` found,
- ``evaluate(weights=None, *, device)``: the metrics of some weights, or of those that ship,
- ``demo(out)``, where it has something to show.
"""

from __future__ import annotations

import difflib
import importlib
import os
import pkgutil
from types import ModuleType


def list_recipes() -> list[str]:
    """The recipes' names.

    Example:
        >>> from fastcv import recipes
        >>> "digits_detector" in recipes.list_recipes()
        True
    """
    return sorted(_modules())


def get(name: str) -> ModuleType:
    """A recipe by name.

    Raises:
        ValueError: there is none; the message names the nearest.
    """
    modules = _modules()
    if name not in modules:
        near = difflib.get_close_matches(name, modules, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(modules))}"
        raise ValueError(f"no recipe {name!r}: {hint}")
    return importlib.import_module(modules[name])


def _modules() -> dict[str, str]:
    """Each recipe's module: they lie a folder a chapter."""
    chapters = [m.name for m in pkgutil.iter_modules(__path__) if m.ispkg]
    return {
        m.name: f"{__name__}.{chapter}.{m.name}"
        for chapter in chapters
        for m in pkgutil.iter_modules([os.path.join(__path__[0], chapter)])
        if not m.name.startswith("_")
    }
