"""The backbone of most detectors: a ResNet with a feature pyramid on its stages."""

from __future__ import annotations

from torch import Tensor, nn

from fastcv.nn.backbones.fpn import ExtraLevels, FeaturePyramidNetwork
from fastcv.nn.backbones.resnet import ResNetTrunk


class ResNetFPN(nn.Module):
    """Images to a pyramid named ``0``, ``1`` and so on (strides 4 to 32), and what the FPN adds.

    Args:
        body: the trunk.
        out_channels: channels of every level.
        extra_blocks: as in ``FeaturePyramidNetwork``.
        trainable_layers: how many parts of the trunk are trained, from the last backwards: the
            four stages, then the stem.
        first_stage: of the trunk's four, the finest that the pyramid is made of, from 1.

    Its keys are torchvision's (``body.layer1...``, ``fpn.inner_blocks...``).

    Source: Lin et al., "Feature Pyramid Networks for Object Detection" (2017), section 3.
    """

    def __init__(
        self,
        body: ResNetTrunk,
        out_channels: int = 256,
        extra_blocks: ExtraLevels | None = None,
        trainable_layers: int = 5,
        first_stage: int = 1,
    ) -> None:
        super().__init__()
        body.train_last(trainable_layers)
        self.body = body
        self.fpn = FeaturePyramidNetwork(
            body.out_channels[first_stage - 1 :], out_channels, extra_blocks
        )
        self.first_stage = first_stage
        self.out_channels = out_channels

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """``[B, 3, H, W]`` normalised to ``[B, out_channels, H / s, W / s]`` for each level."""
        stages = self.body(images)[self.first_stage - 1 :]
        return self.fpn({str(i): stage for i, stage in enumerate(stages)})
