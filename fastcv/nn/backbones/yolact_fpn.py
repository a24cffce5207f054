"""YOLACT's feature pyramid: bilinear on its way down, and two levels more by convolutions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.nn.backbones.ssd_backbone import xavier

EXTRA_LEVELS = 2


class YOLACTPyramid(nn.Module):
    """Feature maps of equal channels, of a trunk's last ones; keys as in dbolya/yolact.

    Unlike ``FeaturePyramidNetwork`` it carries the coarse maps down bilinearly, and each map that
    goes out passes a ReLU. Its layers are stored deepest first.

    Args:
        in_channels: of the maps that come in, finest first.
        channels: of every map that goes out.

    Source: Bolya et al., "YOLACT: Real-time Instance Segmentation" (2019), section 3 and figure 2.

    Example:
        >>> import torch
        >>> from fastcv.nn.backbones.yolact_fpn import YOLACTPyramid
        >>> pyramid = YOLACTPyramid([8, 16], 4)
        >>> [tuple(x.shape) for x in pyramid([torch.rand(1, 8, 9, 9), torch.rand(1, 16, 5, 5)])]
        [(1, 4, 9, 9), (1, 4, 5, 5), (1, 4, 3, 3), (1, 4, 2, 2)]
    """

    def __init__(self, in_channels: Sequence[int], channels: int = 256) -> None:
        super().__init__()
        self.lat_layers = nn.ModuleList(
            nn.Conv2d(inputs, channels, 1) for inputs in reversed(in_channels)
        )
        self.pred_layers = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, padding=1) for _ in in_channels
        )
        self.downsample_layers = nn.ModuleList(
            nn.Conv2d(channels, channels, 3, stride=2, padding=1) for _ in range(EXTRA_LEVELS)
        )
        xavier(self)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The pyramid.

        Args:
            maps: ``[B, C_i, H_i, W_i]`` for each level, finest first.

        Returns:
            ``[B, channels, H_i, W_i]`` for each, then two more, each of half the sides.
        """
        return refined(top_down(maps, self.lat_layers), self.pred_layers, self.downsample_layers)


def top_down(maps: Sequence[Tensor], laterals: nn.ModuleList) -> list[Tensor]:
    """The first half of the pyramid: each map as so many channels, plus the coarser ones.

    Args:
        maps: ``[B, C_i, H_i, W_i]`` for each level, finest first.
        laterals: a layer for each level, deepest first.
    """
    sums: list[Tensor] = []
    for lateral, x in zip(laterals, reversed(maps), strict=True):
        own = lateral(x)
        sums.append(own + enlarged(sums[-1], x) if sums else own)
    return sums[::-1]


def refined(
    sums: Sequence[Tensor], predict: nn.ModuleList, downsample: nn.ModuleList
) -> list[Tensor]:
    """The second half: a 3x3 convolution for each level, and the levels below the deepest one.

    Args:
        sums: of ``top_down``, finest first.
        predict: a layer for each level, deepest first.
        downsample: a layer for each level more.
    """
    outputs = [F.relu(layer(x)) for layer, x in zip(reversed(list(predict)), sums, strict=True)]
    for layer in downsample:
        outputs.append(layer(outputs[-1]))
    return outputs


def enlarged(x: Tensor, like: Tensor) -> Tensor:
    """A map in the height and width of another, bilinearly."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
