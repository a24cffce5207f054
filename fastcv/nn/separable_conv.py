"""The separable convolution of DeepLab v3+, batch norms and all."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastcv.ops import atrous_separable_conv2d


class AtrousSeparableConv2d(nn.Module):
    """Depthwise convolution, batch norm, ReLU, pointwise convolution, batch norm, ReLU.

    It trains as these six layers. :meth:`fold` puts the batch norms into the weights, and what is
    left is one call of :func:`fastcv.ops.atrous_separable_conv2d` and a ReLU.

    Args:
        in_channels: C.
        out_channels: D.
        kernel_size: of the depthwise convolution, odd.
        stride: of the depthwise convolution.
        dilation: its rate; it is padded so that stride 1 keeps the size.
        eps: of the batch norms.

    Source:
        Chen et al., "Encoder-decoder with atrous separable convolution for semantic image
        segmentation" (2018), section 3.1.

    Example:
        >>> import torch
        >>> from fastcv.nn.separable_conv import AtrousSeparableConv2d
        >>> layer = AtrousSeparableConv2d(8, 16, dilation=6).eval()
        >>> x = torch.rand(1, 8, 20, 20)
        >>> expected = layer(x)
        >>> torch.allclose(layer.fold()(x), expected, atol=1e-5)
        True
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {kernel_size}")
        self.depthwise = nn.Conv2d(
            in_channels,
            in_channels,
            kernel_size,
            stride,
            dilation * (kernel_size // 2),
            dilation,
            groups=in_channels,
            bias=False,
        )
        self.depthwise_norm: nn.Module = nn.BatchNorm2d(in_channels, eps)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.pointwise_norm: nn.Module = nn.BatchNorm2d(out_channels, eps)
        self.folded = False

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, D, H', W']``."""
        if not self.folded:
            x = self.depthwise_norm(self.depthwise(x)).relu()
            return self.pointwise_norm(self.pointwise(x)).relu()
        return atrous_separable_conv2d(
            x,
            self.depthwise.weight,
            self.pointwise.weight,
            self.depthwise.bias,
            self.pointwise.bias,
            self.depthwise.stride,
            self.depthwise.padding,  # type: ignore[arg-type]
            self.depthwise.dilation,
            activation="relu",
        ).relu_()

    @torch.no_grad()
    def fold(self) -> AtrousSeparableConv2d:
        """Put the batch norms into the weights, for inference; returns the layer itself.

        Its state dict has biases in place of the norms from here on.
        """
        if not self.folded:
            _fold(self.depthwise, self.depthwise_norm)
            _fold(self.pointwise, self.pointwise_norm)
            self.depthwise_norm = self.pointwise_norm = nn.Identity()
            self.folded = True
        return self.eval()


def _fold(convolution: nn.Conv2d, norm: nn.Module) -> None:
    assert isinstance(norm, nn.BatchNorm2d)
    fused = nn.utils.fuse_conv_bn_eval(convolution.eval(), norm.eval())
    convolution.weight, convolution.bias = fused.weight, fused.bias
