"""What every result can do."""

from __future__ import annotations

import copy
import json
import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, TypeVar

import torch
from PIL import Image
from torch import Tensor

from fastcv._files import replacing
from fastcv.images import SUFFIXES, ImageInput, read_image

Kind = TypeVar("Kind", bound="Result")


class Result(ABC):
    """A model's finding on one picture."""

    classes: tuple[str, ...]
    source: str | None

    @abstractmethod
    def draw(self, image: ImageInput | None = None) -> Image.Image:
        """The finding on the picture.

        Args:
            image: the picture, in any form that ``read_image`` takes; None: the file it came from.

        Raises:
            ValueError: there is no image and the result did not come from a file.
        """

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Plain numbers, strings and lists, for JSON."""

    def to(self: Kind, device: str | torch.device) -> Kind:
        """The same with its tensors on ``device``; ``predict`` leaves them on the model's."""
        moved = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(moved, name, value.to(device))
        return moved

    def save(self, path: str | os.PathLike[str], image: ImageInput | None = None) -> None:
        """Writes ``to_dict()`` to a ``.json``, or the drawing to an image file.

        Raises:
            ValueError: another suffix, or nothing to draw on.
        """
        path = Path(path)
        suffix = path.suffix.lower()
        if suffix == ".json":
            with replacing(path) as temporary:
                temporary.write_text(json.dumps(self.to_dict(), indent=1) + "\n", "utf-8")
        elif suffix in SUFFIXES:
            drawing = self.draw(image)
            with replacing(path) as temporary:
                drawing.save(temporary, quality=92)
        else:
            raise ValueError(f"path must end in .json or an image's suffix, got {path.name!r}")

    def name_of(self, label: int) -> str:
        """The class's name; ``"class 7"`` where the model has no names."""
        return self.classes[label] if 0 <= label < len(self.classes) else f"class {label}"

    def _picture(self, image: ImageInput | None) -> Image.Image:
        if image is None:
            image = self.source
        if image is None:
            raise ValueError("image is needed: this result does not come from a file")
        pixels = read_image(image)
        if pixels.is_floating_point():
            pixels = (pixels.detach().float().clamp(0, 1) * 255).round().byte()
        return Image.fromarray(pixels.permute(1, 2, 0).cpu().numpy())
