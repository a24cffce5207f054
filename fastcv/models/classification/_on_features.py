"""What classifiers share that learn nothing but how to tell given vectors apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from fastcv.models._image_model import ImageModel
from fastcv.models.classification._classifier import Classifier

if TYPE_CHECKING:
    from typing_extensions import Self

Features = Callable[[Tensor], Tensor]


def pixels(size: int) -> dict[str, Any]:
    """The preprocessing that leaves ``size`` x ``size`` pixels as they are, in [0, 1]."""
    zero, one = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    return {"resize": size, "crop": size, "mean": zero, "std": one, "interpolation": "bilinear"}


class OnFeatures(Classifier):
    """A classifier of the vectors that ``features`` makes of images.

    Args:
        features: from what ``prepare`` gives, such as images ``[B, 3, H, W]``, to ``[B, ...]``,
            which is flattened; a module is frozen and stays in eval mode. None: the pixels, or
            vectors that are given in place of images.
        preprocessing: what ``predict`` does to pictures. None: what ``features`` does, where it is
            one of our models; 32 x 32 pixels elsewhere.
    """

    def __init__(self, features: Features | None, preprocessing: Mapping[str, Any] | None) -> None:
        super().__init__()
        self.features = features
        if isinstance(features, nn.Module):
            features.requires_grad_(False).eval()
        self.preprocessing = preprocessing or getattr(features, "preprocessing", pixels(32))

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if isinstance(self.features, nn.Module):
            self.features.eval()
        return self

    def vectors(self, images: Tensor) -> Tensor:
        """``[B, D]``: the features of images, flattened."""
        with torch.no_grad():
            return (images if self.features is None else self.features(images)).flatten(1)

    def prepare(self, images: list[Tensor]) -> Tensor:
        """Images of any sizes to one batch, as ``features`` takes it."""
        if isinstance(self.features, ImageModel):
            return self.features.prepare(images)
        return super().prepare(images)
