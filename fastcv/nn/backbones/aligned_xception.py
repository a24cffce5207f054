"""The Xception trunk of DeepLab v3+: deeper, strided by convolutions, with more norms."""

from __future__ import annotations

from torch import Tensor, nn

from fastcv.nn.backbones.resnet import conv
from fastcv.nn.layers.separable_conv import AtrousSeparableConv2d

EPS = 1e-3  # of the norms


class ConvNormReLU(nn.Sequential):
    """A 3x3 convolution, a batch norm, a ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = conv(3, inputs, outputs, stride)
        self.bn = nn.BatchNorm2d(outputs, EPS)
        self.relu = nn.ReLU(inplace=True)


class AlignedBlock(nn.Module):
    """Three separable convolutions, the last with the stride, and a shortcut.

    Args:
        channels: the input's, then those after each convolution.
        stride: of the third convolution and of the shortcut.
        dilation: of the separable convolutions.
        last: the block that ends the trunk has no shortcut, and ReLUs behind each convolution
            instead of before it.
    """

    def __init__(
        self,
        channels: tuple[int, int, int, int],
        stride: int = 1,
        dilation: int = 1,
        last: bool = False,
    ) -> None:
        super().__init__()
        self.stack = nn.Sequential()
        for i in range(3):
            if not last:
                # The first must leave the input alone: the shortcut reads it too.
                self.stack.add_module(f"act{i + 1}", nn.ReLU(inplace=i > 0))
            convolution = AtrousSeparableConv2d(
                channels[i],
                channels[i + 1],
                stride=stride if i == 2 else 1,
                dilation=dilation,
                eps=EPS,
                relu=last,
            )
            self.stack.add_module(f"conv{i + 1}", convolution)
        self.has_shortcut = not last
        self.shortcut: nn.Module | None = None
        if not last and (stride != 1 or channels[0] != channels[-1]):
            self.shortcut = nn.Sequential()
            self.shortcut.add_module("conv", conv(1, channels[0], channels[-1], stride))
            self.shortcut.add_module("bn", nn.BatchNorm2d(channels[-1], EPS))

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The block's output, and what its third convolution reads: the same before the stride."""
        *layers, strided = self.stack
        before = x
        for layer in layers:
            before = layer(before)
        out = strided(before)
        if self.has_shortcut:
            out = out + (x if self.shortcut is None else self.shortcut(x))
        return out, before

    def forward(self, x: Tensor) -> Tensor:
        return self.both(x)[0]


class AlignedXceptionTrunk(nn.Module):
    """Xception-65 without its classifier.

    Args:
        output_stride: 8, 16 or 32, of the last block: what does not stride dilates.
        middle: blocks of the middle flow: 16 in Xception-65, 8 in Xception-41.

    Attributes:
        out_channels: channels of the two feature maps.

    Raises:
        ValueError: another output stride.

    Source: Chen et al., "Encoder-decoder with atrous separable convolution for semantic image
        segmentation" (2018), section 3.2 and figure 4.

    Example:
        >>> import torch
        >>> from fastcv.nn.backbones.aligned_xception import AlignedXceptionTrunk
        >>> trunk = AlignedXceptionTrunk(output_stride=16, middle=1)
        >>> [tuple(x.shape) for x in trunk(torch.rand(1, 3, 65, 65))]
        [(1, 256, 17, 17), (1, 2048, 5, 5)]
    """

    out_channels = (256, 2048)

    def __init__(self, *, output_stride: int = 32, middle: int = 16) -> None:
        super().__init__()
        if output_stride not in (8, 16, 32):
            raise ValueError(f"output_stride must be 8, 16 or 32, got {output_stride}")
        self.stem = nn.Sequential(ConvNormReLU(3, 32, stride=2), ConvNormReLU(32, 64))
        rows: list[tuple[tuple[int, int, int, int], int]] = [
            ((64, 128, 128, 128), 2),
            ((128, 256, 256, 256), 2),
            ((256, 728, 728, 728), 2),
            *[((728, 728, 728, 728), 1)] * middle,
            ((728, 728, 1024, 1024), 2),
            ((1024, 1536, 1536, 2048), 1),
        ]
        self.blocks = nn.Sequential()
        reached, dilation = 2, 1
        for i, (channels, stride) in enumerate(rows):
            strides = stride if reached * stride <= output_stride else 1
            self.blocks.append(AlignedBlock(channels, strides, dilation, last=i == len(rows) - 1))
            reached, dilation = reached * strides, dilation * stride // strides
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> list[Tensor]:
        """A map at a quarter of the size, from inside the second block, and the last block's.

        Args:
            images: ``[B, 3, H, W]``, normalised.
        """
        first, second, *others = self.blocks
        assert isinstance(second, AlignedBlock)
        x, low = second.both(first(self.stem(images)))
        for block in others:
            x = block(x)
        return [low, x]
