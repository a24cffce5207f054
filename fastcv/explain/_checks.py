"""What every method asks of its arguments, told in one sentence."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def check_model(model: Any) -> None:
    """Raises a TypeError if it is no module, such as a model's name."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")


def check_is_python(model: nn.Module) -> None:
    """Raises a ValueError if torch.jit hides what the model calls."""
    if any(isinstance(module, torch.jit.ScriptModule) for module in model.modules()):
        raise ValueError(
            "model must not be scripted or traced by torch.jit, which hides its layers: explain "
            "the module that it was made of"
        )


def check_layer_name(layer: Any) -> None:
    """Raises a TypeError if it is no name, such as the layer itself."""
    if not isinstance(layer, str):
        raise TypeError(
            f"layer must be a name out of model.named_modules(), got {type(layer).__name__}"
        )


def check_tensor(name: str, value: Any) -> None:
    """Raises a TypeError if an argument is no tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a tensor, got {type(value).__name__}")


def check_batch(name: str, model: nn.Module, batch: Tensor) -> None:
    """Raises a ValueError if a batch ``[B, C, H, W]`` has no pixels, or other channels than a model
    of ours says that it normalises.
    """
    if 0 in batch.shape:
        raise ValueError(f"{name} must have pixels, got {list(batch.shape)}")
    mean = getattr(model, "preprocessing", {}).get("mean", ())
    # One mean, or zeros, suit any number of channels.
    if len(mean) > 1 and any(mean) and batch.shape[1] != len(mean):
        raise ValueError(
            f"{name} must be [B, {len(mean)}, H, W], as the forward of {type(model).__name__} "
            f"takes them, got {list(batch.shape)}"
        )
