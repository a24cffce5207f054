"""Crops of photographs, small and large, for recipes of super-resolution."""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import Dataset

from fastcv.data._drawn_sources import photographs
from fastcv.models.generative._translator import ImageTranslator

SCALE = 4


class Bicubic(ImageTranslator):
    """What every model of super-resolution has to beat: smooth interpolation.

    Example:
        >>> import torch
        >>> from fastcv.recipes.generative._photographs import Bicubic
        >>> Bicubic().predict(torch.rand(3, 5, 6))
        [Generated(1 picture of 20x24)]
    """

    scale = SCALE

    def forward(self, images: Tensor) -> Tensor:
        return F.interpolate(images, scale_factor=self.scale, mode="bicubic")


class PhotoCrops(Dataset[tuple[Tensor, Tensor]]):
    """``(small, large)``: crops of real photographs, and the same four times smaller, in [0, 1].

    Small ones are made by bicubic interpolation with antialiasing. An item depends on its index and
    the arguments alone.

    Args:
        splits: whose photographs: ``"train"``, ``"val"``, ``"test"``.
        length: how many crops, of the photographs in turn.
        size: height and width of the large ones, a multiple of 4.
        turn: mirror and turn them by right angles, at random.

    Example:
        >>> from fastcv.recipes.generative._photographs import PhotoCrops
        >>> small, large = PhotoCrops(("test",), 16, size=48)[3]
        >>> small.shape, large.shape
        (torch.Size([3, 12, 12]), torch.Size([3, 48, 48]))
    """

    def __init__(
        self, splits: tuple[str, ...], length: int, *, size: int = 48, turn: bool = False
    ) -> None:
        self.splits, self.length, self.size, self.turn = splits, length, size, turn

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        if not 0 <= index < self.length:
            raise IndexError(f"index must be 0 to {self.length - 1}, got {index}")
        pictures = _pixels(self.splits)
        picture = pictures[index % len(pictures)]
        rng = np.random.default_rng(index)
        y, x = rng.integers(np.array(picture.shape[1:]) - self.size + 1)
        large = picture[:, y : y + self.size, x : x + self.size].float() / 255
        if self.turn:
            large = torch.rot90(large, int(rng.integers(4)), (1, 2))
            large = large.flip(2) if rng.integers(2) else large
        side = self.size // SCALE
        small = F.interpolate(large[None], (side, side), mode="bicubic", antialias=True)
        return small[0].clamp(0, 1), large.contiguous()


@functools.cache
def _pixels(splits: tuple[str, ...]) -> list[Tensor]:
    return [
        torch.from_numpy(np.array(photograph)).permute(2, 0, 1)
        for split in splits
        for photograph in photographs(split)
    ]
