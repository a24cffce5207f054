"""Xception: depthwise separable convolutions, with residual connections about them."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from fastcv.models._registry import register
from fastcv.models.classification._classifier import Classifier, default_classes
from fastcv.models.classification._published import timm_weights


class SeparableConv2d(nn.Sequential):
    """A 3x3 convolution of each channel on its own, then a 1x1 one; nothing between them."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)


class XceptionBlock(nn.Module):
    """Separable convolutions, each behind a ReLU, and a shortcut.

    Args:
        channels: the input's, then those after each convolution.
        stride: 2 ends in a max pooling, and the shortcut's 1x1 convolution strides.
        starts_with_relu: not so in the first block, whose input has had its ReLU.
    """

    def __init__(self, *channels: int, stride: int = 1, starts_with_relu: bool = True) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(channels):
            # The first ReLU must leave the input alone: the shortcut reads it too.
            layers += [nn.ReLU(inplace=bool(layers)), SeparableConv2d(inputs, outputs)]
            layers += [nn.BatchNorm2d(outputs)]
        if stride != 1:
            layers.append(nn.MaxPool2d(3, stride, padding=1))
        self.rep = nn.Sequential(*(layers if starts_with_relu else layers[1:]))
        self.skip: nn.Module | None = None
        if stride != 1 or channels[0] != channels[-1]:
            self.skip = nn.Conv2d(channels[0], channels[-1], 1, stride, bias=False)
            self.skipbn = nn.BatchNorm2d(channels[-1])

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.skip is None else self.skipbn(self.skip(x))
        return self.rep(x) + shortcut


class Xception(Classifier):
    """Entry flow, eight middle blocks, exit flow: the paper's figure 5.

    Its keys are timm's; Cadene's checkpoints, which name the last layer ``last_linear``, load too.

    Args:
        num_classes: logits.

    Source: Chollet, "Xception: Deep Learning with Depthwise Separable Convolutions" (2017).

    Example:
        >>> import torch
        >>> from fastcv.models.classification.xception import Xception
        >>> Xception(num_classes=10)(torch.rand(1, 3, 64, 64)).shape
        torch.Size([1, 10])
    """

    def __init__(self, *, num_classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, stride=2, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.conv2 = nn.Conv2d(32, 64, 3, bias=False)
        self.bn2 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.block1 = XceptionBlock(64, 128, 128, stride=2, starts_with_relu=False)
        self.block2 = XceptionBlock(128, 256, 256, stride=2)
        self.block3 = XceptionBlock(256, 728, 728, stride=2)
        for i in range(4, 12):
            self.add_module(f"block{i}", XceptionBlock(728, 728, 728, 728))
        self.block12 = XceptionBlock(728, 728, 1024, stride=2)
        self.conv3 = SeparableConv2d(1024, 1536)
        self.bn3 = nn.BatchNorm2d(1536)
        self.conv4 = SeparableConv2d(1536, 2048)
        self.bn4 = nn.BatchNorm2d(2048)
        self.fc = nn.Linear(2048, num_classes)
        self.classes = default_classes(num_classes)
        # What the paper's input was, and the weights' is.
        self.preprocessing = {
            "resize": 333,
            "crop": 299,
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
            "interpolation": "bicubic",
        }
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def rename_key(self, key: str) -> str:
        return key.replace("last_linear.", "fc.")

    def forward(self, images: Tensor) -> Tensor:
        """Logits ``[B, num_classes]`` of normalised images ``[B, 3, H, W]``."""
        x = self.relu(self.bn1(self.conv1(images)))
        x = self.relu(self.bn2(self.conv2(x)))
        for i in range(1, 13):
            x = self.get_submodule(f"block{i}")(x)
        x = self.relu(self.bn3(self.conv3(x)))
        x = self.relu(self.bn4(self.conv4(x)))
        return self.fc(x.mean(dim=(2, 3)))


WEIGHTS = [timm_weights("tf_in1k", "v0.1-cadene", "xception-43020ad28.pth", 79.04, 94.382)]


@register("legacy_xception", task="classification", weights=WEIGHTS)
@register("xception", task="classification", weights=WEIGHTS)
def xception(*, num_classes: int = 1000) -> Xception:
    """Xception, as in the paper."""
    return Xception(num_classes=num_classes)
