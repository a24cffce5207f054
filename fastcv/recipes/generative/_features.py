"""Super-resolution that learns by features alone, and whose features those are."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.models.generative.srresnet import SRResNet
from fastcv.nn.backbones.resnet import ResNetTrunk
from fastcv.recipes.detection.digits_detector.recipe import trained_body


class DetectorFeatures(nn.Module):
    """Two stages of the detector of digits that ships, frozen: strides 2 and 4, 32 channels each.

    It was trained here, on digits upon photographs; papers take a VGG that knows ImageNet.

    Example:
        >>> import torch
        >>> from fastcv.recipes.generative._features import DetectorFeatures
        >>> DetectorFeatures()(torch.rand(2, 3, 48, 48)).shape  # 32 * 24 * 24 + 32 * 12 * 12
        torch.Size([2, 23040])
    """

    def __init__(self) -> None:
        super().__init__()
        trunk = ResNetTrunk(18, width=32)
        trunk.load_state_dict(trained_body())
        self.first = nn.Sequential(trunk.conv1, trunk.bn1, nn.ReLU())
        self.second = nn.Sequential(trunk.maxpool, trunk.layer1)
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """``[B, D]`` of normalised pictures ``[B, 3, H, W]``."""
        first = self.first(images)
        return torch.cat([first.flatten(1), self.second(first).flatten(1)], dim=1)


class ByFeatures(nn.Module):
    """A generator for ``fit`` that wants features like those of the truth, and nothing else.

    Args:
        generator: is trained.
        features: from normalised pictures to what is compared; does not learn.
    """

    def __init__(self, generator: SRResNet, features: nn.Module) -> None:
        super().__init__()
        self.generator = generator
        self._features = (features,)  # in a tuple it is no part of this module

    def forward(self, images: Tensor) -> Tensor:
        """Of small pictures ``[B, 3, H, W]`` in [0, 1]; in [-1, 1]."""
        return self.generator(self.generator.prepare(list(images)))

    def loss(self, output: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """The mean square of features' differences."""
        (features,) = self._features
        prepare = self.generator.prepare
        made, true = prepare(list((output + 1) / 2)), prepare(list(targets))
        return {"features": F.mse_loss(features(made), features(true))}
