"""SENet: residual blocks whose channels are weighted by squeeze and excitation."""

from __future__ import annotations

from torch import Tensor, nn

from fastcv.classes import default_classes
from fastcv.models._registry import register
from fastcv.models.classification._classifier import Classifier
from fastcv.models.classification._published import timm_weights
from fastcv.nn.backbones.resnet import ResidualBlock, conv
from fastcv.nn.layers.squeeze_excitation import SqueezeExcitation

REDUCTION = 16


class SEBottleneck(ResidualBlock):
    """1x1, 3x3, 1x1, and the gates of what they made before it is added.

    Args:
        inputs: channels.
        widths: channels after the first and after the second convolution.
        outputs: channels after the third.
        strides: of the first and of the second convolution.
        groups: of the second.
        shortcut_kernel: of the shortcut's convolution, where the shape changes.
    """

    def __init__(
        self,
        inputs: int,
        widths: tuple[int, int],
        outputs: int,
        strides: tuple[int, int] = (1, 1),
        groups: int = 1,
        shortcut_kernel: int = 1,
    ) -> None:
        super().__init__()
        self.conv1 = conv(1, inputs, widths[0], strides[0])
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.conv2 = conv(3, widths[0], widths[1], strides[1], groups=groups)
        self.bn2 = nn.BatchNorm2d(widths[1])
        self.conv3 = conv(1, widths[1], outputs)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.se_module = SqueezeExcitation(outputs, outputs // REDUCTION)
        stride = max(strides)
        self._shortcut(inputs, outputs, stride, nn.BatchNorm2d)
        if isinstance(self.downsample, nn.Sequential):
            self.downsample[0] = conv(shortcut_kernel, inputs, outputs, stride)

    def residual(self, x: Tensor) -> Tensor:
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        return self.se_module(self.bn3(self.conv3(out)))


LAYERS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 154: (3, 8, 36, 3)}


class SENet(Classifier):
    """SE-ResNet-50 and -101, and SENet-154, by the keys of Cadene's and timm's checkpoints.

    SE-ResNet strides in the first 1x1 convolution of a stage, as the paper's Caffe models do.
    SENet-154 differs: a stem of three 3x3 convolutions, 64 groups, blocks twice as wide inside, 3x3
    convolutions in the shortcuts, dropout.

    Args:
        depth: 50, 101 or 154.
        num_classes: logits.
        dropout: before the last layer.

    Raises:
        ValueError: another depth.

    Source: Hu et al., "Squeeze-and-Excitation Networks" (2018), table 1; SENet-154 by its
        appendix.

    Example:
        >>> import torch
        >>> from fastcv.models.classification.senet import SENet
        >>> SENet(50, num_classes=10)(torch.rand(1, 3, 64, 64)).shape
        torch.Size([1, 10])
    """

    def __init__(self, depth: int, *, num_classes: int = 1000, dropout: float = 0.0) -> None:
        super().__init__()
        if depth not in LAYERS:
            raise ValueError(f"depth must be one of {list(LAYERS)}, got {depth}")
        senet154 = depth == 154
        self.layer0 = nn.Sequential()
        stem = [(3, 64), (64, 64), (64, 128)] if senet154 else [(3, 64)]
        for i, (inputs, outputs) in enumerate(stem, start=1):
            kernel, stride = 3 if senet154 else 7, 2 if i == 1 else 1
            self.layer0.add_module(f"conv{i}", conv(kernel, inputs, outputs, stride))
            self.layer0.add_module(f"bn{i}", nn.BatchNorm2d(outputs))
            self.layer0.add_module(f"relu{i}", nn.ReLU(inplace=True))
        self.pool0 = nn.MaxPool2d(3, stride=2, ceil_mode=True)

        inputs, stages = outputs, []
        for i, blocks in enumerate(LAYERS[depth]):
            channels, stage = 64 * 2**i, []
            for j in range(blocks):
                stride = 2 if i > 0 and j == 0 else 1
                widths = (2 * channels, 4 * channels) if senet154 else (channels, channels)
                block = SEBottleneck(
                    inputs,
                    widths,
                    outputs=4 * channels,
                    strides=(1, stride) if senet154 else (stride, 1),
                    groups=64 if senet154 else 1,
                    shortcut_kernel=3 if senet154 and i > 0 else 1,
                )
                stage.append(block)
                inputs = 4 * channels
            stages.append(nn.Sequential(*stage))
        self.layer1, self.layer2, self.layer3, self.layer4 = stages
        self.dropout = nn.Dropout(dropout)
        self.last_linear = nn.Linear(inputs, num_classes)
        self.classes = default_classes("imagenet", num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, num_classes]`` of normalised images ``[B, 3, H, W]``."""
        x = self.pool0(self.layer0(images))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.last_linear(self.dropout(x.mean(dim=(2, 3))))


SE_RESNET50 = [timm_weights("in1k", "v0.1-cadene", "se_resnet50-ce0d4300.pth", 77.644, 93.758)]


@register("legacy_seresnet50", task="classification", weights=SE_RESNET50)
@register("se_resnet50", task="classification", weights=SE_RESNET50)
def se_resnet50(*, num_classes: int = 1000) -> SENet:
    """SE-ResNet-50."""
    return SENet(50, num_classes=num_classes)


SE_RESNET101 = [timm_weights("in1k", "v0.1-cadene", "se_resnet101-7e38fcc6.pth", 78.386, 94.262)]


@register("legacy_seresnet101", task="classification", weights=SE_RESNET101)
@register("se_resnet101", task="classification", weights=SE_RESNET101)
def se_resnet101(*, num_classes: int = 1000) -> SENet:
    """SE-ResNet-101."""
    return SENet(101, num_classes=num_classes)


SENET154 = [timm_weights("in1k", "v0.1-weights", "legacy_senet154-e9eb9fe6.pth", 81.308, 95.492)]


@register("legacy_senet154", task="classification", weights=SENET154)
@register("senet154", task="classification", weights=SENET154)
def senet154(*, num_classes: int = 1000, dropout: float = 0.2) -> SENet:
    """SENet-154, which won ILSVRC 2017."""
    return SENet(154, num_classes=num_classes, dropout=dropout)
