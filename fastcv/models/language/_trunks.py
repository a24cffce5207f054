"""The ResNets that captioners look with."""

from __future__ import annotations

from torch import nn

from fastcv.nn.backbones.resnet import ResNetTrunk


def captioners_resnet(depth: int, width: int, small_pictures: bool) -> ResNetTrunk:
    """A ResNet whose last map is what a captioner sees.

    Args:
        depth, width: as of ``ResNetTrunk``.
        small_pictures: without the first max pool and the last stage. The last map has then a
            cell for 8 pixels along each side in place of 32, and half of the channels.

    Example:
        >>> import torch
        >>> from fastcv.models.language._trunks import captioners_resnet
        >>> captioners_resnet(18, 8, True)(torch.rand(1, 3, 64, 64))[-1].shape
        torch.Size([1, 32, 8, 8])
    """
    trunk = ResNetTrunk(depth, width=width)
    if small_pictures:
        trunk.maxpool = nn.Identity()  # type: ignore[assignment]  # in place of a pool
        trunk.layer4 = nn.Identity()  # type: ignore[assignment]  # in place of a stage
        trunk.out_channels = (*trunk.out_channels[:3], trunk.out_channels[2])
    return trunk
