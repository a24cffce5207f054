"""The ResNet trunk: a stem and four stages of residual blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from fastcv.nn.init import fill

NormLayer = Callable[[int], nn.Module]


def conv(
    kernel: int, inputs: int, outputs: int, stride: int = 1, dilation: int = 1, groups: int = 1
) -> nn.Conv2d:
    """A convolution without bias (a norm follows) that keeps the size at stride 1."""
    padding = dilation * (kernel // 2)
    return nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)


class ResidualBlock(nn.Module):
    """What both blocks share: the shortcut, projected where the shape changes.

    Their ``dilations`` are those of the 3x3 convolution that has the stride, and of one after it.
    """

    expansion: int
    relu: nn.ReLU
    downsample: nn.Module | None

    def _shortcut(self, inputs: int, outputs: int, stride: int, norm_layer: NormLayer) -> None:
        self.relu = nn.ReLU(inplace=True)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(conv(1, inputs, outputs, stride), norm_layer(outputs))

    def residual(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    @property
    def last_norm(self) -> nn.Module:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.residual(x)
        out += shortcut
        return self.relu(out)


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions: the block of ResNet-18 and -34."""

    expansion = 1

    def __init__(
        self,
        inputs: int,
        channels: int,
        stride: int = 1,
        dilations: tuple[int, int] = (1, 1),
        groups: int = 1,
        width_per_group: int = 64,
        norm_layer: NormLayer = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        if groups != 1 or width_per_group != 64:
            raise ValueError("BasicBlock has no groups and no width_per_group: take a Bottleneck")
        self.conv1 = conv(3, inputs, channels, stride, dilations[0])
        self.bn1 = norm_layer(channels)
        self.conv2 = conv(3, channels, channels, 1, dilations[1])
        self.bn2 = norm_layer(channels)
        self._shortcut(inputs, channels, stride, norm_layer)

    def residual(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        return self.bn2(self.conv2(out))

    @property
    def last_norm(self) -> nn.Module:
        return self.bn2


class Bottleneck(ResidualBlock):
    """1x1, 3x3, 1x1: the block of ResNet-50 and deeper.

    The stride is that of the 3x3 convolution, as in the checkpoints people have; the paper has it
    in the first 1x1, with the same weights and a slightly lower accuracy.
    """

    expansion = 4

    def __init__(
        self,
        inputs: int,
        channels: int,
        stride: int = 1,
        dilations: tuple[int, int] = (1, 1),
        groups: int = 1,
        width_per_group: int = 64,
        norm_layer: NormLayer = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        width = channels * width_per_group // 64 * groups
        outputs = channels * self.expansion
        self.conv1 = conv(1, inputs, width)
        self.bn1 = norm_layer(width)
        self.conv2 = conv(3, width, width, stride, dilations[0], groups)
        self.bn2 = norm_layer(width)
        self.conv3 = conv(1, width, outputs)
        self.bn3 = norm_layer(outputs)
        self._shortcut(inputs, outputs, stride, norm_layer)

    def residual(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.bn3(self.conv3(out))

    @property
    def last_norm(self) -> nn.Module:
        return self.bn3


CONFIGURATIONS: dict[int, tuple[type[BasicBlock | Bottleneck], tuple[int, int, int, int]]] = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


class ResNetTrunk(nn.Module):
    """ResNet without its classifier; the keys of its state are torchvision's.

    Args:
        depth: 18, 34, 50, 101 or 152.
        width: channels of the stem and of the first stage's blocks; each stage doubles them.
        groups: of the 3x3 convolution in a bottleneck (ResNeXt).
        width_per_group: channels of a group in the first stage, at ``width`` 64 (ResNeXt, Wide
            ResNet).
        replace_stride_with_dilation: for stages 2 to 4, whether to dilate instead of striding.
        dilate_first: where a stage dilates, its first block does so too. Otherwise that has the
            rate of the stage before, as in torchvision's.
        multi_grid: a factor for each block of the last stage, by which its rate is multiplied, the
            first block's too; (1, 2, 4) in DeepLab v3.
        zero_init_residual: start with every block the identity (Goyal et al., 2017).
        norm_layer: makes the norm for a number of channels.

    Attributes:
        out_channels: channels of the four feature maps.

    Source: He et al., "Deep Residual Learning for Image Recognition" (2016), table 1; weights
        start as in He et al., "Delving Deep into Rectifiers" (2015).

    Example:
        >>> import torch
        >>> from fastcv.nn.backbones.resnet import ResNetTrunk
        >>> trunk = ResNetTrunk(18, width=8)
        >>> [tuple(x.shape) for x in trunk(torch.rand(1, 3, 64, 64))]
        [(1, 8, 16, 16), (1, 16, 8, 8), (1, 32, 4, 4), (1, 64, 2, 2)]
    """

    def __init__(
        self,
        depth: int,
        *,
        width: int = 64,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] = (False, False, False),
        dilate_first: bool = False,
        multi_grid: Sequence[int] | None = None,
        zero_init_residual: bool = False,
        norm_layer: NormLayer = nn.BatchNorm2d,
    ) -> None:
        super().__init__()
        if depth not in CONFIGURATIONS:
            raise ValueError(f"depth must be one of {list(CONFIGURATIONS)}, got {depth}")
        if len(replace_stride_with_dilation) != 3:
            raise ValueError(
                "replace_stride_with_dilation must have three entries, for stages 2 to 4, got "
                f"{replace_stride_with_dilation}"
            )
        block, layers = CONFIGURATIONS[depth]
        if multi_grid is not None and len(multi_grid) != layers[3]:
            raise ValueError(
                f"multi_grid must have {layers[3]} entries, for the blocks of the last stage, got "
                f"{tuple(multi_grid)}"
            )
        self.conv1 = conv(7, 3, width, stride=2)
        self.bn1 = norm_layer(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)

        inputs, dilation = width, 1
        stages = []
        for i, blocks in enumerate(layers):
            channels, stride, before = width * 2**i, 1 if i == 0 else 2, dilation
            if i > 0 and replace_stride_with_dilation[i - 1]:
                stride, dilation = 1, dilation * 2
                before = dilation if dilate_first else before
            stage = []
            for j in range(blocks):
                dilations = (before, dilation)
                if i == 3 and multi_grid is not None:
                    dilations = (dilation * multi_grid[j],) * 2
                stage.append(
                    block(inputs, channels, stride, dilations, groups, width_per_group, norm_layer)
                )
                inputs, stride, before = channels * block.expansion, 1, dilation
            stages.append(nn.Sequential(*stage))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.out_channels = tuple(width * 2**i * block.expansion for i in range(4))
        self._initialize(zero_init_residual)

    def _initialize(self, zero_init_residual: bool) -> None:
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, ResidualBlock) and zero_init_residual:
                fill(module.last_norm.weight)

    def train_last(self, trainable_layers: int) -> None:
        """Train only so many parts, from the last backwards: the four stages, then the stem.

        Raises:
            ValueError: not 0 to 5.
        """
        if not 0 <= trainable_layers <= 5:
            raise ValueError(f"trainable_layers must be 0 to 5, got {trainable_layers}")
        stem = nn.ModuleList([self.conv1, self.bn1])
        parts = [self.layer4, self.layer3, self.layer2, self.layer1, stem]
        for part in parts[trainable_layers:]:
            part.requires_grad_(False)

    def stages(self, images: Tensor) -> list[Tensor]:
        """The feature maps of the four stages, ``[B, C_i, H / s_i, W / s_i]``, s = 4, 8, 16, 32.

        Args:
            images: ``[B, 3, H, W]``, normalised.
        """
        c1 = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        c2 = self.layer1(c1)
        c3 = self.layer2(c2)
        c4 = self.layer3(c3)
        c5 = self.layer4(c4)
        return [c2, c3, c4, c5]

    def forward(self, images: Tensor) -> list[Tensor]:
        return self.stages(images)
