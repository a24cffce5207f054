"""What is explained: a batch as the model takes it, and the pictures that it shows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fastcv.explain._checks import check_batch, check_model
from fastcv.images import ImageInput, read_image
from fastcv.models import ImageModel
from fastcv.models._image_model import as_list

Images = ImageInput | Sequence[ImageInput]


@dataclass(frozen=True)
class Inputs:
    """A batch, and what is in it.

    Args:
        batch: ``[B, C, H, W]``, what ``forward`` takes; a clone of what came.
        pictures: ``[B, 3, H, W]`` in [0, 1]: what the model sees, as a person sees it.
        source: the file, of one picture.
    """

    batch: Tensor
    pictures: Tensor
    source: str | None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.batch.shape[2], self.batch.shape[3]

    def __len__(self) -> int:
        return len(self.batch)


def read_inputs(model: nn.Module, images: Images) -> Inputs:
    """Brings images to the model's device and dtype.

    Args:
        model: one of ours, or a plain module.
        images: a floating-point batch ``[B, C, H, W]`` as ``forward`` takes it; or, for a model of
            ours, pictures as ``predict`` takes them, which ``prepare`` prepares.

    Raises:
        TypeError: pictures for a plain module, which cannot prepare them; or no module.
        ValueError: no images, images without pixels, of other channels, or with NaN or infinity,
            or pictures that are of several sizes after ``prepare``.
    """
    check_model(model)
    like = next(model.parameters(), torch.empty(0))
    if isinstance(images, Tensor) and images.ndim == 4 and images.is_floating_point():
        batch, source = images.detach().to(like.device, like.dtype), None
        if len(batch) == 0:
            raise ValueError(f"images must be at least one, got {list(batch.shape)}")
    elif isinstance(model, ImageModel):
        pictures = list(as_list(images))
        if not pictures:
            raise ValueError("images must be at least one, got none")
        is_file = len(pictures) == 1 and isinstance(pictures[0], (str, os.PathLike))
        source = str(pictures[0]) if is_file else None
        batch = prepared(model, [read_image(picture) for picture in pictures])
    else:
        raise TypeError(
            f"images must be a floating-point tensor [B, C, H, W], as the forward of "
            f"{type(model).__name__} takes it, got {kind_of(images)}"
        )
    check_batch("images", model, batch)
    if not bool(batch.isfinite().all()):
        raise ValueError("images must be finite, and have NaN or infinity")
    with torch.inference_mode(False), torch.no_grad():
        batch = batch.clone()
        return Inputs(batch, pictures_of(model, batch), source)


def prepared(model: ImageModel, images: list[Tensor]) -> Tensor:
    """One batch of images ``[3, H, W]``, uint8 or in [0, 1].

    Raises:
        ValueError: they are of several sizes after ``prepare``.
    """
    batch = model.prepare([model.as_float(image) for image in images])
    if isinstance(batch, Tensor):
        return batch
    # A detector takes a list.
    sizes = sorted({tuple(image.shape[-2:]) for image in batch})
    if len(sizes) > 1:
        raise ValueError(
            f"images must be of one size, got {' and '.join(f'{h}x{w}' for h, w in sizes)}: "
            "explain them one by one"
        )
    return torch.stack(list(batch))


def pictures_of(model: nn.Module, batch: Tensor) -> Tensor:
    """What a prepared batch shows, ``[B, 3, H, W]`` float32 in [0, 1].

    A model of ours says how it normalises; otherwise values beyond [0, 1] are stretched to it,
    each image by itself.
    """
    batch = batch.float()
    preprocessing = model.preprocessing if isinstance(model, ImageModel) else {}
    if "mean" in preprocessing and "std" in preprocessing:
        mean, std = (batch.new_tensor(preprocessing[key])[:, None, None] for key in ("mean", "std"))
        batch = batch * std + mean
        if preprocessing.get("channel_order") == "bgr":
            batch = batch.flip(1)
    if batch.shape[1] not in (1, 3):
        batch = batch.mean(dim=1, keepdim=True)
    lowest, highest = batch.amin((1, 2, 3), keepdim=True), batch.amax((1, 2, 3), keepdim=True)
    stretched = (batch - lowest) / (highest - lowest).clamp(min=1e-12)
    slack = 1e-4  # of rounding
    is_picture = (lowest >= -slack) & (highest <= 1 + slack)
    return torch.where(is_picture, batch.clamp(0, 1), stretched).expand(-1, 3, -1, -1).contiguous()


def kind_of(images: Any) -> str:
    """In words, for errors."""
    if isinstance(images, Tensor):
        return f"{images.dtype} {list(images.shape)}"
    return type(images).__name__
