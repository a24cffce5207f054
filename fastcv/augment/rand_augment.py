"""RandAugment: N augmentations out of a list, all of one magnitude M."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Generator, Tensor

from fastcv.augment import _random, color, tone
from fastcv.augment.compose import apply_to
from fastcv.augment.geometry import affine_matrices, warp
from fastcv.augment.targets import Targets

GREATEST = 30  # of the magnitude

# How strong each is at that magnitude, as in AutoAugment, from which the list comes.
DEGREES = 30
SHEAR = 0.3
TRANSLATE = 150 / 331  # of the side
FACTOR = 0.9  # to either side of 1
BITS = 4  # that posterize takes away

Change = Callable[[Tensor, Targets, float, Tensor, float], tuple[Tensor, Targets]]


def _tone(function: Callable[[Tensor], Tensor]) -> Change:
    """A change without a strength."""
    return lambda images, targets, strength, sign, fill: (function(images), targets)


def _factor(function: Callable[[Tensor, Tensor], Tensor]) -> Change:
    return lambda images, targets, strength, sign, fill: (
        function(images, 1 + FACTOR * strength * sign),
        targets,
    )


def _moved(name: str, greatest: float, axis: int | None = None) -> Change:
    """A part of ``affine_matrices``, in x (axis 0) or y (axis 1) where it has both."""

    def change(
        images: Tensor, targets: Targets, strength: float, sign: Tensor, fill: float
    ) -> tuple[Tensor, Targets]:
        size = (images.shape[-2], images.shape[-1])
        amount = greatest * strength * sign
        if name == "translate":
            amount = amount * (size[1] if axis == 0 else size[0])
        zero = torch.zeros_like(amount)
        given: Any = amount if axis is None else (amount, zero) if axis == 0 else (zero, amount)
        return warp(images, targets, affine_matrices(size, **{name: given}), fill=fill)

    return change


CHANGES: dict[str, Change] = {
    "identity": _tone(lambda images: images),
    "autocontrast": _tone(tone.autocontrast),
    "equalize": _tone(tone.equalize),
    "rotate": _moved("angle", DEGREES),
    "solarize": lambda i, t, strength, sign, fill: (tone.solarize(i, 1 - strength), t),
    "color": _factor(color.saturation),
    "posterize": lambda i, t, strength, sign, fill: (
        tone.posterize(i, 8 - round(BITS * strength)),
        t,
    ),
    "contrast": _factor(color.contrast),
    "brightness": _factor(color.brightness),
    "sharpness": _factor(color.sharpness),
    "shear x": _moved("shear", SHEAR, 0),
    "shear y": _moved("shear", SHEAR, 1),
    "translate x": _moved("translate", TRANSLATE, 0),
    "translate y": _moved("translate", TRANSLATE, 1),
}


class RandAugment:
    """For each image ``n`` of the 14 changes, each drawn alike, of magnitude ``m``.

    Those that have two directions take one at random.

    Args:
        n: changes, one after the other.
        m: magnitude, 0 to 30.
        fill: the value outside a moved image.

    Raises:
        ValueError: an argument is out of its range.

    Source: Cubuk et al., "RandAugment: Practical Automated Data Augmentation with a Reduced Search
        Space" (2020), figure 2; the strengths of Cubuk et al., "AutoAugment" (2019), table 6.

    Example:
        >>> import torch
        >>> from fastcv.augment import RandAugment
        >>> images = torch.rand(8, 3, 16, 16)
        >>> a, _ = RandAugment(n=2, m=9)(images, generator=torch.Generator().manual_seed(3))
        >>> b, _ = RandAugment(n=2, m=9)(images, generator=torch.Generator().manual_seed(3))
        >>> a.shape, torch.equal(a, b)
        (torch.Size([8, 3, 16, 16]), True)
    """

    def __init__(self, n: int = 2, m: float = 9, fill: float = 0.5) -> None:
        if n < 0:
            raise ValueError(f"n must be at least 0, got {n}")
        if not 0 <= m <= GREATEST:
            raise ValueError(f"m must be 0 to {GREATEST}, got {m}")
        self.n, self.m, self.fill = n, m, fill

    def __call__(
        self, images: Tensor, targets: Targets = None, *, generator: Generator | None = None
    ) -> tuple[Tensor, Targets]:
        for _ in range(self.n):
            drawn = torch.randint(len(CHANGES), (len(images),), generator=generator)
            sign = 1 - 2 * _random.chance(0.5, len(images), generator).float()
            # A loop over the changes, not over the images.
            for place, change in enumerate(CHANGES.values()):
                which = drawn == place
                images, targets = apply_to(
                    which,
                    images,
                    targets,
                    change,
                    strength=self.m / GREATEST,
                    sign=sign[which],
                    fill=self.fill,
                )
        return images, targets
