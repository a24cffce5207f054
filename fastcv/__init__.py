"""fastcv: computer-vision ops with hand-written CPU and CUDA kernels, on PyTorch.

>>> import torch, fastcv
>>> boxes = torch.tensor([[0.0, 0.0, 10.0, 10.0], [1.0, 1.0, 11.0, 11.0], [20.0, 20.0, 30.0, 30.0]])
>>> fastcv.ops.nms(boxes, torch.tensor([0.9, 0.8, 0.7]), iou_threshold=0.5)
tensor([0, 2])
"""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastcv import ops

try:
    __version__ = version("fastcv")
except PackageNotFoundError:  # a source tree that was built in place
    __version__ = "0+source"

__all__ = ["ops"]


def __getattr__(name: str) -> ModuleType:
    # On first use, so that `python -m fastcv doctor` can tell what is wrong with a build.
    if name in __all__:
        return importlib.import_module(f"fastcv.{name}")
    raise AttributeError(f"module 'fastcv' has no attribute {name!r}")
