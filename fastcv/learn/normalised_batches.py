"""Batches as classifiers and segmenters take them: stacked, augmented, normalised."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import default_collate

from fastcv.models import ImageModel

Augmentation = Callable[[Tensor, Any], tuple[Tensor, Any]]
Collate = Callable[[Sequence[tuple[Tensor, Any]]], tuple[Tensor, Any]]


def normalised_batches(model: ImageModel, augment: Augmentation | None = None) -> Collate:
    """A ``collate_fn`` for ``fit``: images in [0, 1] to what a classifier or segmenter takes.

    A segmenter's targets are label maps, and ``augment`` must leave places alone there. Validation
    needs none: ``evaluate_classifier`` and ``evaluate_segmenter`` prepare images themselves.

    Args:
        model: has ``preprocessing`` with ``mean`` and ``std``, and maybe ``channel_order``.
        augment: takes images ``[B, 3, H, W]`` in [0, 1] and their targets and returns both, such as
            ``fastcv.augment.RandAugment()``. It runs where the data is loaded, and under ``fit`` a
            resumed run draws what the first would have drawn.

    Returns:
        a function of a list of ``(image, target)``: images all of one size, targets labels or
        tensors of one shape.

    Example:
        >>> import torch
        >>> from fastcv.learn import normalised_batches
        >>> from fastcv.models import create_model
        >>> model = create_model("resnet18", num_classes=2, width=8)
        >>> collate = normalised_batches(model)
        >>> images, labels = collate([(torch.rand(3, 8, 8), 0), (torch.rand(3, 8, 8), 1)])
        >>> images.shape, labels
        (torch.Size([2, 3, 8, 8]), tensor([0, 1]))
    """
    mean, std = model.preprocessing["mean"], model.preprocessing["std"]
    is_bgr = model.preprocessing.get("channel_order") == "bgr"
    return partial(_batch, tuple(mean), tuple(std), is_bgr, augment)


def _batch(
    mean: tuple[float, ...],
    std: tuple[float, ...],
    is_bgr: bool,
    augment: Augmentation | None,
    items: Sequence[tuple[Tensor, Any]],
) -> tuple[Tensor, Any]:
    images, targets = default_collate(list(items))
    if augment is not None:
        images, targets = augment(images, targets)
    if is_bgr:
        images = images.flip(1)
    shape = (-1, 1, 1)
    return (images - torch.tensor(mean).view(shape)) / torch.tensor(std).view(shape), targets
