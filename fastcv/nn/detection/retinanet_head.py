"""RetinaNet's head: two subnets of four convolutions over every level of a pyramid."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor, nn

from fastcv.nn.detection.dense_head import per_anchor
from fastcv.nn.init import fill

PRIOR = 0.01  # the probability of every anchor and class before training

Norms = Callable[[int], nn.Module] | None


class Subnet(nn.Sequential):
    """Four 3x3 convolutions, each with an activation."""

    def __init__(self, channels: int, norm_layer: Norms) -> None:
        super().__init__()
        for _ in range(4):
            layers: list[nn.Module] = [
                nn.Conv2d(channels, channels, 3, padding=1, bias=norm_layer is None)
            ]
            if norm_layer is not None:
                layers.append(norm_layer(channels))
            self.append(nn.Sequential(*layers, nn.ReLU(inplace=True)))


class ClassificationHead(nn.Module):
    """A logit for each anchor and class."""

    def __init__(self, channels: int, outputs: int, norm_layer: Norms) -> None:
        super().__init__()
        self.conv = Subnet(channels, norm_layer)
        self.cls_logits = nn.Conv2d(channels, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.cls_logits(self.conv(x))


class RegressionHead(nn.Module):
    """Four offsets for each anchor."""

    def __init__(self, channels: int, outputs: int, norm_layer: Norms) -> None:
        super().__init__()
        self.conv = Subnet(channels, norm_layer)
        self.bbox_reg = nn.Conv2d(channels, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.bbox_reg(self.conv(x))


class RetinaNetHead(nn.Module):
    """The two subnets, the same for every level.

    Args:
        channels: of every map.
        num_anchors: anchors of a cell.
        num_classes: with the background, whose logit no target ever raises.
        norm_layer: makes the subnets' norms for a number of channels; None: no norms.

    Source: Lin et al., "Focal Loss for Dense Object Detection" (2017), figure 3 (c) and (d), and
        section 3.3 for how the classes' bias starts.
    """

    def __init__(
        self,
        channels: int,
        num_anchors: int,
        num_classes: int,
        norm_layer: Norms = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.classification_head = ClassificationHead(
            channels, num_anchors * num_classes, norm_layer
        )
        self.regression_head = RegressionHead(channels, num_anchors * 4, norm_layer)
        # The paper's 0.01, and as much signal in fewer channels.
        std = 0.01 * (256 / channels) ** 0.5
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=std)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        fill(self.classification_head.cls_logits.bias, -math.log((1 - PRIOR) / PRIOR))

    def forward(self, maps: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Logits ``[B, N_l, classes]`` and offsets ``[B, N_l, 4]`` of every level."""
        logits = [per_anchor(self.classification_head(x), self.num_classes) for x in maps]
        deltas = [per_anchor(self.regression_head(x), 4) for x in maps]
        return logits, deltas
