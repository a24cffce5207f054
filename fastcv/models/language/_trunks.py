"""ResNets that see small pictures."""

from __future__ import annotations

from typing import TypeVar

from torch import nn

from fastcv.nn.backbones.resnet import ResNetTrunk

Trunk = TypeVar("Trunk", bound=ResNetTrunk)


def for_pictures(trunk: Trunk, small: bool) -> Trunk:
    """The trunk itself; for small pictures without the first max pool and the last stage.

    The last map has then a cell for 8 pixels along each side in place of 32, and half of the
    channels.

    Args:
        trunk: changed in place.
        small: whether the pictures are of some 64 pixels, and not of some 224.

    Example:
        >>> import torch
        >>> from fastcv.models.language._trunks import for_pictures
        >>> from fastcv.nn.backbones.resnet import ResNetTrunk
        >>> for_pictures(ResNetTrunk(18, width=8), small=True)(torch.rand(1, 3, 64, 64))[-1].shape
        torch.Size([1, 32, 8, 8])
    """
    if small:
        trunk.maxpool = nn.Identity()  # type: ignore[assignment]  # in place of a pool
        trunk.layer4 = nn.Identity()  # type: ignore[assignment]  # in place of a stage
        trunk.out_channels = (*trunk.out_channels[:3], trunk.out_channels[2])
    return trunk
