"""Pictures that a method goes through once, a batch at a time: a folder, a data set, a tensor."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from fastcv.explain._checks import check_batch
from fastcv.explain._inputs import kind_of, pictures_of, prepared
from fastcv.images import find_images, read_image
from fastcv.models import ImageModel
from fastcv.models._image_model import as_list

THUMBNAIL = 160  # pixels of its longer side, at most


class Pictures:
    """Pictures by number, read where they are needed.

    Args:
        source: files, folders and patterns as ``find_images`` takes them, or pictures as
            ``predict`` takes them; a data set whose items are pictures or begin with one; or a
            floating-point batch ``[N, C, H, W]`` as ``forward`` takes it.

    Attributes:
        paths: of each picture, where they are files.
        skipped: what is wrong with a file that ``batches`` could not read, by path.

    Raises:
        FileNotFoundError: no such file, or a folder without images.
        TypeError: none of those.
        ValueError: no pictures.
    """

    def __init__(self, source: Any) -> None:
        self.skipped: dict[str, str] = {}
        self.paths: list[str] | None = None
        self.items: Any
        if _are_paths(source):
            self.paths = [str(path.absolute()) for path in find_images(source)]
            self.items = self.paths
        elif isinstance(source, Tensor) and source.ndim == 4 and source.is_floating_point():
            self.items = source.detach()
        elif isinstance(source, (Tensor, np.ndarray, Image.Image)):
            self.items = as_list(source)
        elif _is_numbered(source):
            self.items = source
        else:
            raise TypeError(
                "pictures must be a folder, files, pictures, a data set or a floating-point tensor "
                f"[N, C, H, W], got {type(source).__name__}"
            )
        if len(self.items) == 0:
            raise ValueError("pictures must be at least one, got none")

    @classmethod
    def of_files(cls, paths: list[str]) -> Pictures:
        """These files, which need not be there."""
        made = cls.__new__(cls)
        made.skipped, made.paths, made.items = {}, paths, paths
        return made

    def __len__(self) -> int:
        return len(self.items)

    def keep(self, numbers: Sequence[int]) -> None:
        """Forgets the other files."""
        assert self.paths is not None
        self.paths = self.items = [self.paths[number] for number in numbers]

    def batches(self, model: nn.Module, batch_size: int) -> Iterator[tuple[list[int], Tensor]]:
        """What ``forward`` takes, with the pictures' numbers. Broken files are left out.

        Raises:
            ValueError: no file can be read, or pictures of several sizes.
            TypeError: pictures for a plain module, which cannot prepare them.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        self.skipped = {}
        for start in range(0, len(self), batch_size):
            numbers, values = [], []
            for number in range(start, min(start + batch_size, len(self))):
                try:
                    values.append(self._read(model, number))
                    numbers.append(number)
                except (ValueError, OSError) as error:
                    if self.paths is None:
                        raise
                    self.skipped[self.paths[number]] = str(error)
            if numbers:
                yield numbers, self._ready(model, values)
        if len(self.skipped) == len(self):
            first = next(iter(self.skipped.values()))
            raise ValueError(f"none of {len(self)} pictures can be read: {first}")

    def batch(self, model: nn.Module, numbers: Sequence[int]) -> Tensor:
        """These pictures as ``forward`` takes them."""
        return self._ready(model, [self._read(model, number) for number in numbers])

    def thumbnail(self, model: nn.Module, number: int) -> Image.Image:
        """A picture for a person to look at; of a tensor, what the model sees."""
        value = self._read(model, number)
        if isinstance(self.items, Tensor) or not isinstance(model, ImageModel):
            value = pictures_of(model, value[None])[0]
        if value.is_floating_point():
            value = (value.float().clamp(0, 1) * 255).round().byte()
        found = Image.fromarray(value.permute(1, 2, 0).contiguous().cpu().numpy())
        found.thumbnail((THUMBNAIL, THUMBNAIL))
        return found

    def _read(self, model: nn.Module, number: int) -> Tensor:
        item = self.items[number]
        if isinstance(item, (tuple, list)):  # of a data set: the picture comes first
            item = item[0]
        if isinstance(self.items, Tensor):
            return item
        if isinstance(model, ImageModel):
            return read_image(item)
        if isinstance(item, Tensor) and item.is_floating_point() and item.ndim == 3:
            return item
        raise TypeError(
            f"pictures must be floating-point tensors, as the forward of {type(model).__name__} "
            f"takes them, got {kind_of(item)}: only a model of fastcv prepares others"
        )

    def _ready(self, model: nn.Module, values: list[Tensor]) -> Tensor:
        if isinstance(model, ImageModel) and not isinstance(self.items, Tensor):
            return prepared(model, values)
        sizes = sorted({tuple(value.shape) for value in values})
        if len(sizes) > 1:
            raise ValueError(f"pictures must be of one size, got {sizes[0]} and {sizes[1]}")
        like = next(model.parameters(), torch.empty(0))
        batch = torch.stack(values).to(like.device, like.dtype)
        check_batch("pictures", model, batch)
        return batch


def _is_numbered(source: Any) -> bool:
    has_items = hasattr(source, "__len__") and hasattr(source, "__getitem__")
    return has_items and not isinstance(source, (Mapping, bytes, type))


def _are_paths(source: Any) -> bool:
    if isinstance(source, (list, tuple)):
        return bool(source) and all(isinstance(one, (str, os.PathLike)) for one in source)
    return isinstance(source, (str, os.PathLike))
