"""One augmentation after another, or for some of the images only."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Generator, Tensor

from fastcv.augment import _random
from fastcv.augment.targets import Targets


class Augmentation(Protocol):
    """What every random augmentation is: images and targets in, both out."""

    def __call__(
        self, images: Tensor, targets: Any = None, *, generator: Generator | None = None
    ) -> tuple[Tensor, Any]: ...


class Compose:
    """Augmentations one after the other.

    Example:
        >>> import torch
        >>> from fastcv import augment
        >>> both = augment.Compose(augment.Flip(), augment.Vary(augment.brightness, 0.5, 1.5))
        >>> images, labels = both(torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 2, 1]))
        >>> images.shape, labels
        (torch.Size([4, 3, 8, 8]), tensor([0, 1, 2, 1]))
    """

    def __init__(self, *augmentations: Augmentation) -> None:
        self.augmentations = augmentations

    def __call__(
        self, images: Tensor, targets: Targets = None, *, generator: Generator | None = None
    ) -> tuple[Tensor, Targets]:
        for augmentation in self.augmentations:
            images, targets = augmentation(images, targets, generator=generator)
        return images, targets


class Sometimes:
    """An augmentation for each image with a probability.

    Args:
        augmentation: one that keeps the images' size and the kind of their targets.
        p: the probability, in [0, 1].
    """

    def __init__(self, augmentation: Augmentation, p: float = 0.5) -> None:
        if not 0 <= p <= 1:
            raise ValueError(f"p must be in [0, 1], got {p}")
        self.augmentation, self.p = augmentation, p

    def __call__(
        self, images: Tensor, targets: Targets = None, *, generator: Generator | None = None
    ) -> tuple[Tensor, Targets]:
        which = _random.chance(self.p, len(images), generator)
        return apply_to(which, images, targets, self.augmentation, generator=generator)


def apply_to(
    which: Tensor, images: Tensor, targets: Targets, change: Any, **options: Any
) -> tuple[Tensor, Targets]:
    """``change`` for the images of a batch where ``which`` ``[B]`` is true."""
    index = which.nonzero()[:, 0]
    if not len(index):
        return images, targets
    here = index.to(images.device)
    if isinstance(targets, Tensor):
        there = index.to(targets.device)
        changed, moved = change(images[here], targets[there], **options)
        targets = targets.index_copy(0, there, moved)
    elif targets is None:
        changed, _ = change(images[here], None, **options)
    else:
        places = index.tolist()
        changed, moved = change(images[here], [targets[i] for i in places], **options)
        targets = list(targets)
        for place, target in zip(places, moved, strict=True):
            targets[place] = target
    return images.index_copy(0, here, changed), targets


def check_range(name: str, low: float, high: float, minimum: float, maximum: float) -> None:
    """Raises ValueError unless ``minimum <= low <= high <= maximum``."""
    if not minimum <= low <= high <= maximum:
        raise ValueError(
            f"{name} must be (low, high) from {minimum:g} to {maximum:g}, got ({low:g}, {high:g})"
        )
