"""Recipes: data, model, schedule and the level it reaches, one module for each trained result,
in a folder for each chapter.

``fastcv train`` lists them, ``fastcv train NAME`` runs one. A recipe's module has

- ``RECIPE``: what ``get`` returns, a ``Recipe``,
- ``build``, ``train`` and ``evaluate``: those of ``RECIPE``.
"""

from __future__ import annotations

import difflib
import importlib
import os
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastcv.recipes._recipe import Recipe


def list_recipes() -> list[str]:
    """The recipes' names.

    Example:
        >>> from fastcv import recipes
        >>> "digits_detector" in recipes.list_recipes()
        True
    """
    return sorted(_modules())


def get(name: str) -> Recipe:
    """A recipe by name.

    Raises:
        ValueError: there is none; the message names the nearest.
    """
    modules = _modules()
    if name not in modules:
        near = difflib.get_close_matches(name, modules, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(modules))}"
        raise ValueError(f"no recipe {name!r}: {hint}")
    recipe: Recipe = importlib.import_module(modules[name]).RECIPE
    return recipe


def by_chapter() -> dict[str, list[str]]:
    """The recipes' names, by the folder that they lie in.

    Example:
        >>> from fastcv import recipes
        >>> recipes.by_chapter()["learn"]
        ['distill', 'self_train', 'transfer']
    """
    chapters = [m.name for m in pkgutil.iter_modules(__path__) if m.ispkg]
    found = {
        chapter: [
            m.name
            for m in pkgutil.iter_modules([os.path.join(__path__[0], chapter)])
            if not m.name.startswith("_")
        ]
        for chapter in chapters
    }
    return {chapter: names for chapter, names in found.items() if names}


def _modules() -> dict[str, str]:
    return {
        name: f"{__name__}.{chapter}.{name}"
        for chapter, names in by_chapter().items()
        for name in names
    }
