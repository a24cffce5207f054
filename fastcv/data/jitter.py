"""Random jitter: pictures enlarged, cropped and mirrored, the same way for all of an item."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


class Jitter:
    """Resizes pictures to a square, crops a smaller one out of it, and mirrors every second time.

    Called with several pictures, such as a pair, it does the same to each. The draws are torch's,
    which ``fastcv.learn.fit`` seeds for each item and epoch.

    Args:
        load_size: side of the square that a picture becomes, whatever its shape.
        crop_size: side of the square that is cut out of it.
        flip: mirror half of them.

    Raises:
        ValueError: ``crop_size`` is not from 1 to ``load_size``.

    Source: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks" (2017),
        section 6.2.

    Example:
        >>> import torch
        >>> from fastcv.data import Jitter
        >>> drawn, photograph = Jitter()(torch.rand(3, 200, 300), torch.rand(3, 200, 300))
        >>> drawn.shape
        torch.Size([3, 256, 256])
    """

    def __init__(self, load_size: int = 286, crop_size: int = 256, *, flip: bool = True) -> None:
        if not 1 <= crop_size <= load_size:
            raise ValueError(f"crop_size must be 1 to load_size = {load_size}, got {crop_size}")
        self.load_size, self.crop_size, self.flip = load_size, crop_size, flip

    def __call__(self, *pictures: Tensor) -> tuple[Tensor, ...]:
        """Pictures ``[C, H, W]`` in [0, 1], each ``[C, crop_size, crop_size]``."""
        room = self.load_size - self.crop_size + 1
        y, x = (int(torch.randint(room, ())) for _ in range(2))
        mirrored = self.flip and torch.rand(()) < 0.5
        made = []
        for picture in pictures:
            square = _resized(picture, self.load_size)
            crop = square[:, y : y + self.crop_size, x : x + self.crop_size]
            made.append(crop.flip(2) if mirrored else crop)
        return tuple(made)


def _resized(picture: Tensor, side: int) -> Tensor:
    if tuple(picture.shape[1:]) == (side, side):
        return picture
    resized = F.interpolate(picture[None], (side, side), mode="bicubic", antialias=True)
    return resized[0].clamp(0, 1)
