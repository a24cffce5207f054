"""One linear layer: the simplest classifier that learns, on pixels or another model's features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models.classification._on_features import Features, OnFeatures, pixels


class LinearClassifier(OnFeatures):
    """``W x + b``, with softmax and cross-entropy.

    Args:
        in_features: length D of a vector.
        num_classes: logits.
        features: from a batch of images to vectors, such as a network without its last layer; it
            is not trained: a module is frozen and stays in eval mode. None: the pixels.
        preprocessing: what ``predict`` does to pictures. None: what ``features`` does, where it is
            one of our models; 32 x 32 pixels elsewhere.

    Example:
        >>> import torch
        >>> from fastcv.models.classification.linear import LinearClassifier
        >>> model = LinearClassifier(3 * 8 * 8, num_classes=10)
        >>> model(torch.rand(2, 3, 8, 8)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        in_features: int,
        *,
        num_classes: int = 10,
        features: Features | None = None,
        preprocessing: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(features, preprocessing)
        self.fc = nn.Linear(in_features, num_classes)
        self.classes = default_classes("imagenet", num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, num_classes]`` of images, or of vectors ``[B, D]`` where those are given.

        Raises:
            ValueError: vectors of another length than ``in_features``.
        """
        x = self.vectors(images)
        if x.shape[1] != self.fc.in_features:
            raise ValueError(
                f"vectors must have in_features={self.fc.in_features} values, got {x.shape[1]}, "
                f"of images {list(images.shape)}"
            )
        return self.fc(x)


@register("linear", task="classification")
def linear(*, num_classes: int = 10, image_size: int = 32) -> LinearClassifier:
    """A linear layer on the pixels of images ``[B, 3, image_size, image_size]``."""
    return LinearClassifier(
        3 * image_size**2, num_classes=num_classes, preprocessing=pixels(image_size)
    )
