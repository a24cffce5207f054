"""ResNet whose late 3x3 convolutions look where their input tells them to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from fastcv.models._registry import register
from fastcv.models.classification.resnet import RESNET50_WEIGHTS, ResNet
from fastcv.nn.backbones.resnet import Bottleneck
from fastcv.nn.layers.deform_conv import DeformConv2dPack


class DeformableResNet(ResNet):
    """A ResNet whose 3x3 convolutions in some stages are deformable.

    Offsets start at zero: with the weights of a plain ResNet it computes what that computes. A
    checkpoint of a plain ResNet loads so, with no offsets in it; all its keys stay.

    Args:
        depth: 50, 101 or 152.
        num_classes: logits.
        deformable_stages: of 1 to 4; (4,) in version 1, (2, 3, 4) in version 2.
        mask: whether every sample has a weight too (version 2).
        trunk: what ``ResNetTrunk`` takes.

    Raises:
        ValueError: a depth without bottlenecks, or a stage that there is not.

    Source: Dai et al., "Deformable Convolutional Networks" (2017), section 3.2; Zhu et al.,
        "Deformable ConvNets v2" (2018), sections 3.1 and 3.2.

    Example:
        >>> import torch
        >>> from fastcv.models.classification.deformable_resnet import DeformableResNet
        >>> from fastcv.models.classification.resnet import ResNet
        >>> plain = ResNet(50, num_classes=10, width=8).eval()
        >>> deformable = DeformableResNet(50, num_classes=10, width=8).eval()
        >>> deformable.load_state_dict(plain.state_dict())
        <All keys matched successfully>
        >>> x = torch.rand(1, 3, 64, 64)
        >>> torch.allclose(deformable(x), plain(x), atol=1e-5)
        True
    """

    def __init__(
        self,
        depth: int,
        *,
        num_classes: int = 1000,
        deformable_stages: Sequence[int] = (4,),
        mask: bool = False,
        **trunk: Any,
    ) -> None:
        super().__init__(depth, num_classes=num_classes, **trunk)
        stages = dict(enumerate((self.layer1, self.layer2, self.layer3, self.layer4), start=1))
        if not set(deformable_stages) <= set(stages):
            raise ValueError(f"deformable_stages must be of 1 to 4, got {list(deformable_stages)}")
        for block in (block for i in deformable_stages for block in stages[i]):
            if not isinstance(block, Bottleneck):
                raise ValueError(f"depth must be 50, 101 or 152, got {depth}")
            # A Bottleneck declares a plain convolution, which this stands for.
            block.conv2 = _deformable(block.conv2, mask)  # type: ignore[assignment]  # see above

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        if not any(".conv_offset" in key for key in state_dict):  # a plain ResNet's
            for key, value in self.state_dict(prefix=prefix).items():
                if ".conv_offset." in key:
                    state_dict[key] = torch.zeros_like(value)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _deformable(conv: nn.Conv2d, mask: bool) -> DeformConv2dPack:
    made = DeformConv2dPack(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size,  # type: ignore[arg-type]  # two numbers here, and no string
        conv.stride,  # type: ignore[arg-type]
        conv.padding,  # type: ignore[arg-type]
        conv.dilation,  # type: ignore[arg-type]
        conv.groups,
        bias=False,
        mask=mask,
    )
    assert isinstance(conv.weight, nn.Parameter)
    made.weight = conv.weight
    return made


@register("resnet50_dcn", task="classification", weights=RESNET50_WEIGHTS)
def resnet50_dcn(*, num_classes: int = 1000, **config: Any) -> DeformableResNet:
    """ResNet-50 with three deformable convolutions, in its last stage; its weights are ResNet's."""
    return DeformableResNet(50, num_classes=num_classes, **config)


@register("resnet50_dcnv2", task="classification", weights=RESNET50_WEIGHTS)
def resnet50_dcnv2(*, num_classes: int = 1000, **config: Any) -> DeformableResNet:
    """ResNet-50 with 13 modulated deformable convolutions, in three stages; ResNet's weights."""
    config = {"deformable_stages": (2, 3, 4), "mask": True, **config}
    return DeformableResNet(50, num_classes=num_classes, **config)
