"""CutMix and MixUp: two images as one, and both their labels."""

from __future__ import annotations

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from fastcv.augment import _random
from fastcv.augment.cutout import inside


class MixUp:
    """Blend each image with another of the batch, and their labels alike.

    Args:
        num_classes: of the labels.
        alpha: the share of an image is drawn from Beta(alpha, alpha).

    Source: Zhang et al., "mixup: Beyond Empirical Risk Minimization" (2018).

    Example:
        >>> import torch
        >>> from fastcv.augment import MixUp
        >>> images, labels = torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 2, 1])
        >>> mixed, shares = MixUp(num_classes=3)(images, labels)
        >>> shares.shape, shares.sum(dim=1)
        (torch.Size([4, 3]), tensor([1., 1., 1., 1.]))
    """

    def __init__(self, num_classes: int, alpha: float = 0.2) -> None:
        self.num_classes, self.alpha = num_classes, alpha

    def __call__(
        self, images: Tensor, targets: Tensor, *, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Images ``[B, 3, H, W]`` and labels ``[B]`` or ``[B, C]`` to images and shares."""
        share = _random.beta(self.alpha, len(images), generator)
        other = torch.randperm(len(images), generator=generator)
        return mix_up(images, probabilities(targets, self.num_classes), share, other)


class CutMix:
    """Put a box of another image of the batch into each; labels by the share of the area.

    Args:
        num_classes: of the labels.
        alpha: the share of the area that stays is drawn from Beta(alpha, alpha); where the box
            reaches over the edge, more stays.

    Source: Yun et al., "CutMix: Regularization Strategy to Train Strong Classifiers with
        Localizable Features" (2019).

    Example:
        >>> import torch
        >>> from fastcv.augment import CutMix
        >>> images, labels = torch.rand(4, 3, 8, 8), torch.tensor([0, 1, 2, 1])
        >>> mixed, shares = CutMix(num_classes=3)(images, labels)
        >>> (shares * 64).frac().abs().max()  # whole pixels
        tensor(0.)
    """

    def __init__(self, num_classes: int, alpha: float = 1.0) -> None:
        self.num_classes, self.alpha = num_classes, alpha

    def __call__(
        self, images: Tensor, targets: Tensor, *, generator: Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Images ``[B, 3, H, W]`` and labels ``[B]`` or ``[B, C]`` to images and shares."""
        n, (height, width) = len(images), images.shape[-2:]
        side = (1 - _random.beta(self.alpha, n, generator)).sqrt()
        x, y = (torch.rand(n, generator=generator) * length for length in (width, height))
        half_width, half_height = side * width / 2, side * height / 2
        x1, x2 = (edge.round().clamp(0, width) for edge in (x - half_width, x + half_width))
        y1, y2 = (edge.round().clamp(0, height) for edge in (y - half_height, y + half_height))
        other = torch.randperm(n, generator=generator)
        boxes = torch.stack([x1, y1, x2, y2], dim=1)
        return cut_mix(images, probabilities(targets, self.num_classes), boxes, other)


def mix_up(images: Tensor, targets: Tensor, share: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """``share`` of each image and of its probabilities, and the rest of those of ``other``.

    Args:
        images: ``[B, 3, H, W]``.
        targets: probabilities ``[B, C]``.
        share: ``[B]`` in [0, 1].
        other: ``[B]``, whose image is mixed in.
    """
    share, other = share.to(images), other.to(images.device)
    return _blend(images, images[other], share.view(-1, 1, 1, 1)), _blend(
        targets, targets[other], share.view(-1, 1)
    )


def cut_mix(images: Tensor, targets: Tensor, boxes: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Each image with a box of ``other``, and the probabilities by area.

    Args:
        images: ``[B, 3, H, W]``.
        targets: probabilities ``[B, C]``.
        boxes: ``[B, 4]`` in whole pixels inside the image.
        other: ``[B]``, whose pixels are in the box.
    """
    other = other.to(images.device)
    box = inside(boxes, images)
    share = 1 - box.to(images.dtype).mean(dim=(1, 2, 3))
    return torch.where(box, images[other], images), _blend(
        targets, targets[other], share.view(-1, 1)
    )


def probabilities(targets: Tensor, num_classes: int) -> Tensor:
    """Labels ``[B]`` as probabilities ``[B, C]``; those that are some already stay.

    Raises:
        TypeError: targets are no labels of images.
    """
    if not isinstance(targets, Tensor):
        raise TypeError(
            f"mixing takes labels [B] or probabilities [B, C], got {type(targets).__name__}"
        )
    return F.one_hot(targets, num_classes).float() if targets.ndim == 1 else targets


def _blend(one: Tensor, other: Tensor, share: Tensor) -> Tensor:
    return share * one + (1 - share) * other
