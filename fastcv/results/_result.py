"""What every result can do."""

from __future__ import annotations

import copy
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from fastcv._files import replacing
from fastcv._json import to_json

Kind = TypeVar("Kind", bound="Result")


class Result(ABC):
    """What a model predicted of one input."""

    classes: tuple[str, ...]
    source: str | None

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and lists, for JSON; None for a number that is NaN or infinite."""

    def to(self: Kind, device: str | torch.device) -> Kind:
        """The same with its tensors on ``device``; ``predict`` leaves them on the model's."""
        moved = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(moved, name, value.to(device))
        return moved

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes ``to_dict()`` to a ``.json``.

        Raises:
            ValueError: another suffix.
        """
        path = Path(path)
        if path.suffix.lower() != ".json":
            raise ValueError(f"path must end in .json, got {path.name!r}")
        with replacing(path) as temporary:
            temporary.write_text(to_json(self.to_dict()), "utf-8")

    def name_of(self, label: int) -> str:
        """The class's name; ``"class 7"`` where the model has no names."""
        return self.classes[label] if 0 <= label < len(self.classes) else f"class {label}"
