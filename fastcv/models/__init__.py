"""Models by name: ``create_model`` builds one, with weights where asked."""

from fastcv.models._model import System
from fastcv.models._registry import create_model, list_models, load_model, register
from fastcv.models._weights import Weights, save_model

__all__ = [
    "System",
    "Weights",
    "create_model",
    "list_models",
    "load_model",
    "register",
    "save_model",
]
