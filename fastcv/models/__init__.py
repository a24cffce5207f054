"""Models by name: ``create_model`` builds one, with weights where asked."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fastcv._old_names import moved_attribute

if TYPE_CHECKING:
    from fastcv.models._image_model import ImageModel
    from fastcv.models._model import Model
    from fastcv.models._registry import create_model, list_models, load_model, register
    from fastcv.models._weights import Weights, save_model

__all__ = [
    "ImageModel",
    "Model",
    "Weights",
    "create_model",
    "list_models",
    "load_model",
    "register",
    "save_model",
]

_HOME_OF = {
    "ImageModel": "_image_model",
    "Model": "_model",
    "Weights": "_weights",
    "create_model": "_registry",
    "list_models": "_registry",
    "load_model": "_registry",
    "register": "_registry",
    "save_model": "_weights",
}


def __getattr__(name: str) -> Any:
    # On first use, so that the command line knows the tasks without waiting for torch.
    if name not in _HOME_OF:
        return moved_attribute(__name__, name)
    value = getattr(importlib.import_module(f"{__name__}.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value
