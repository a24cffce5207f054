"""The semantic head of UPSNet: deformable convolutions that all levels of a pyramid share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.nn.init import fill
from fastcv.nn.layers.deform_conv import DeformConv2dPack

LEVELS = 4


class SemanticHead(nn.Module):
    """A logit of each class for each pixel of the finest level, of four levels of a pyramid.

    Each level passes the same deformable convolutions with ReLU; what comes out is brought to the
    finest level's size bilinearly and concatenated, and a 1x1 convolution makes logits of it.

    Args:
        in_channels: of every level.
        num_classes: things and stuff.
        channels: of what comes out of the convolutions, for each level.
        layers: deformable convolutions, at least 2. All but the last two keep ``in_channels``.
        norm_layer: makes a norm for a number of channels, after each convolution, which has no
            bias then; None: no norms.

    Raises:
        ValueError: fewer than two layers.

    Source: Xiong et al., "UPSNet: A Unified Panoptic Segmentation Network" (2019), section 3.1.

    Example:
        >>> import torch
        >>> from fastcv.nn.panoptic.semantic_head import SemanticHead
        >>> head = SemanticHead(16, num_classes=5, channels=8)
        >>> levels = [torch.rand(1, 16, side, side) for side in (32, 16, 8, 4)]
        >>> head(levels).shape
        torch.Size([1, 5, 32, 32])
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        channels: int = 128,
        layers: int = 3,
        norm_layer: Callable[[int], nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if layers < 2:
            raise ValueError(f"layers must be at least 2, got {layers}")
        widths = [in_channels] * (layers - 1) + [channels] * 2
        self.subnet = nn.Sequential(
            *(_deformable(inputs, outputs, norm_layer) for inputs, outputs in pairwise(widths))
        )
        self.score = nn.Conv2d(LEVELS * channels, num_classes, 1)
        nn.init.normal_(self.score.weight, std=0.01)
        fill(self.score.bias)

    def features(self, levels: Sequence[Tensor]) -> Tensor:
        """What ``score`` reads, ``[B, 4 * channels, H, W]``; arguments as of ``forward``."""
        finest = levels[0].shape[-2:]
        maps = [self.subnet(level) for level in levels]
        coarse = [
            F.interpolate(x, size=finest, mode="bilinear", align_corners=False) for x in maps[1:]
        ]
        return torch.cat([maps[0], *coarse], dim=1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Logits ``[B, num_classes, H, W]``.

        Args:
            levels: four of ``[B, in_channels, H_l, W_l]``, finest first; the first is ``[H, W]``.
        """
        return self.score(self.features(levels))


def _deformable(
    inputs: int, outputs: int, norm_layer: Callable[[int], nn.Module] | None
) -> nn.Sequential:
    bias = norm_layer is None
    conv = DeformConv2dPack(inputs, outputs, 3, padding=1, bias=bias, mask=False)
    nn.init.kaiming_normal_(conv.weight)
    if conv.bias is not None:
        fill(conv.bias)
    norm = [] if norm_layer is None else [norm_layer(outputs)]
    return nn.Sequential(conv, *norm, nn.ReLU(inplace=True))
