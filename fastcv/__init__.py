"""fastcv: computer vision on PyTorch, with hand-written CPU and CUDA kernels.

>>> import torch, fastcv
>>> boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [1.0, 1.0, 11.0, 11.0], [20.0, 20.0, 30.0, 30.0]])
>>> fastcv.ops.nms(boxes, torch.tensor([0.9, 0.8, 0.7]), iou_threshold=0.5)
tensor([0, 2])
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from fastcv import _old_names

if TYPE_CHECKING:
    from fastcv import (
        augment,
        data,
        deploy,
        draw,
        explain,
        images,
        learn,
        metrics,
        models,
        nn,
        ops,
        recipes,
        results,
    )
    from fastcv.deploy.onnx import export_onnx
    from fastcv.deploy.optimize import optimize
    from fastcv.models import create_model, list_models, load_model, save_model
    from fastcv.models.generative.gatys import stylize

try:
    __version__ = version("fastcv")
except PackageNotFoundError:  # a source tree that was built in place
    __version__ = "0+source"

__all__ = [
    "augment",
    "create_model",
    "data",
    "deploy",
    "draw",
    "explain",
    "export_onnx",
    "images",
    "learn",
    "list_models",
    "load_model",
    "metrics",
    "models",
    "nn",
    "ops",
    "optimize",
    "recipes",
    "results",
    "save_model",
    "stylize",
]

_HOME_OF = {
    "create_model": "models",
    "list_models": "models",
    "load_model": "models",
    "save_model": "models",
    "export_onnx": "deploy",
    "optimize": "deploy",
    "stylize": "models.generative.gatys",
}

_old_names.install()


def __getattr__(name: str) -> Any:
    # On first use, so that `python -m fastcv doctor` can tell what is wrong with a build.
    if name not in __all__:
        raise AttributeError(f"module 'fastcv' has no attribute {name!r}")
    if name not in _HOME_OF:
        return importlib.import_module(f"fastcv.{name}")
    value = getattr(importlib.import_module(f"fastcv.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value
