"""A pyramid's deepest level told what the whole picture shows."""

from __future__ import annotations

from torch import Tensor, nn

from fastcv.nn.backbones.fpn import FeaturePyramidNetwork


class GlobalContext(nn.Sequential):
    """A convolution, and at each pixel what a linear layer makes of its input's mean.

    Args:
        conv: ``[B, in_channels, H, W]`` to ``[B, out_channels, H, W]``; its key is ``0``, as in the
            pyramid without.
        in_channels, out_channels: of ``conv``.
    """

    def __init__(self, conv: nn.Module, in_channels: int, out_channels: int) -> None:
        super().__init__(conv)
        self.gap = nn.Linear(in_channels, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self[0](x) + self.gap(x.mean((2, 3)))[:, :, None, None]


def add_global_context(fpn: FeaturePyramidNetwork, in_channels: int, out_channels: int) -> None:
    """Gives the deepest level's 1x1 convolution ``GlobalContext``; its sum goes down the pyramid.

    Args:
        fpn: the pyramid.
        in_channels: of the deepest map that comes in.
        out_channels: of the pyramid.

    Example:
        >>> import torch
        >>> from fastcv.nn import FeaturePyramidNetwork
        >>> from fastcv.nn.backbones.global_context import add_global_context
        >>> fpn = FeaturePyramidNetwork([8, 16], 4)
        >>> add_global_context(fpn, 16, 4)
        >>> fpn.inner_blocks[1].gap
        Linear(in_features=16, out_features=4, bias=True)
    """
    (conv,) = fpn.inner_blocks[-1].children()
    fpn.inner_blocks[-1] = GlobalContext(conv, in_channels, out_channels)
