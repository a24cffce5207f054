"""Separable convolutions: a convolution of each channel on its own, then one across channels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastcv.ops import atrous_separable_conv2d


def depthwise_conv(
    channels: int, kernel_size: int = 3, stride: int = 1, dilation: int = 1
) -> nn.Conv2d:
    """A convolution of each channel on its own, without bias, that keeps the size at stride 1."""
    padding = dilation * (kernel_size // 2)
    return nn.Conv2d(
        channels, channels, kernel_size, stride, padding, dilation, groups=channels, bias=False
    )


class SeparableConv2d(nn.Sequential):
    """A 3x3 convolution of each channel on its own, then a 1x1 one; nothing between them.

    ``fastcv.optimize`` makes one call of :func:`fastcv.ops.atrous_separable_conv2d` of both. The
    names are those of Xception's checkpoints.

    Args:
        inputs: channels.
        outputs: channels.
        dilation: the rate of the 3x3 convolution.

    Example:
        >>> import torch
        >>> from fastcv.nn.layers.separable_conv import SeparableConv2d
        >>> SeparableConv2d(8, 16, dilation=6)(torch.rand(1, 8, 20, 20)).shape
        torch.Size([1, 16, 20, 20])
    """

    def __init__(self, inputs: int, outputs: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv1 = depthwise_conv(inputs, dilation=dilation)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)


class AtrousSeparableConv2d(nn.Module):
    """Depthwise convolution, batch norm, ReLU, pointwise convolution, batch norm, ReLU.

    It trains as these six layers. :meth:`fold` puts the batch norms into the weights, and what is
    left is one call of :func:`fastcv.ops.atrous_separable_conv2d` and a ReLU; ``fastcv.optimize``
    does the same to it wherever it stands in a model.

    Args:
        in_channels: C.
        out_channels: D.
        kernel_size: of the depthwise convolution, odd.
        stride: of the depthwise convolution.
        dilation: its rate; it is padded so that stride 1 keeps the size.
        eps: of the batch norms.
        relu: False leaves both ReLUs out.

    Source:
        Chen et al., "Encoder-decoder with atrous separable convolution for semantic image
        segmentation" (2018), section 3.1.

    Example:
        >>> import torch
        >>> from fastcv.nn.layers.separable_conv import AtrousSeparableConv2d
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
        relu: bool = True,
    ) -> None:
        super().__init__()
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd, got {kernel_size}")
        self.depthwise = depthwise_conv(in_channels, kernel_size, stride, dilation)
        self.depthwise_norm: nn.Module = nn.BatchNorm2d(in_channels, eps)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.pointwise_norm: nn.Module = nn.BatchNorm2d(out_channels, eps)
        self.relu = relu
        self.folded = False

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, D, H', W']``."""
        if not self.folded:
            x = self.depthwise_norm(self.depthwise(x))
            x = self.pointwise_norm(self.pointwise(x.relu() if self.relu else x))
            return x.relu() if self.relu else x
        out = atrous_separable_conv2d(
            x,
            self.depthwise.weight,
            self.pointwise.weight,
            self.depthwise.bias,
            self.pointwise.bias,
            self.depthwise.stride,
            self.depthwise.padding,  # type: ignore[arg-type]  # never a string here
            self.depthwise.dilation,
            activation="relu" if self.relu else None,
        )
        return out.relu_() if self.relu else out

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
