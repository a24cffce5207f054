"""Feature pyramid network: semantics of the coarse maps carried down to the fine ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.nn.init import fill
from fastcv.nn.layers.conv_norm_activation import Conv2dNormActivation


class ExtraLevels(nn.Module):
    """Appends levels coarser than the pyramid's: ``(outputs, inputs, names) -> outputs, names``."""


class LastLevelMaxPool(ExtraLevels):
    """One level more: every second pixel of the coarsest, under the name ``pool``."""

    def forward(
        self, outputs: list[Tensor], inputs: list[Tensor], names: list[str]
    ) -> tuple[list[Tensor], list[str]]:
        outputs.append(F.max_pool2d(outputs[-1], kernel_size=1, stride=2))
        names.append("pool")
        return outputs, names


class LastLevelP6P7(ExtraLevels):
    """Two levels more, by 3x3 convolutions of stride 2: P6, and P7 of its activations.

    Args:
        in_channels: of the map that P6 is made of: the trunk's last one, or the pyramid's coarsest
            where this is its number of channels.
        out_channels: of the pyramid.

    Source: Lin et al., "Focal Loss for Dense Object Detection" (2017), section 4, footnote 2.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.p6 = nn.Conv2d(in_channels, out_channels, 3, stride=2, padding=1)
        self.p7 = nn.Conv2d(out_channels, out_channels, 3, stride=2, padding=1)
        self.use_p5 = in_channels == out_channels
        for conv in (self.p6, self.p7):
            nn.init.kaiming_uniform_(conv.weight, a=1)
            fill(conv.bias)

    def forward(
        self, outputs: list[Tensor], inputs: list[Tensor], names: list[str]
    ) -> tuple[list[Tensor], list[str]]:
        p6 = self.p6(outputs[-1] if self.use_p5 else inputs[-1])
        outputs.extend([p6, self.p7(F.relu(p6))])
        names.extend(["p6", "p7"])
        return outputs, names


class FeaturePyramidNetwork(nn.Module):
    """Feature maps of equal channels, each the sum of its own map and the coarser ones.

    Args:
        in_channels_list: channels of the maps that come in, finest first.
        out_channels: channels of every map that goes out.
        extra_blocks: makes coarser levels, of the pyramid's maps, of those that came in and of
            their names.
        norm_layer: makes a norm of a number of channels, after each convolution; None: no norms.

    Its keys are torchvision's; those of old checkpoints (``inner_blocks.0.weight``) load as well.

    Source: Lin et al., "Feature Pyramid Networks for Object Detection" (2017), section 3.

    Example:
        >>> import torch
        >>> from fastcv.nn.backbones.fpn import FeaturePyramidNetwork, LastLevelMaxPool
        >>> fpn = FeaturePyramidNetwork([8, 16], 4, LastLevelMaxPool())
        >>> maps = {"c2": torch.rand(1, 8, 8, 8), "c3": torch.rand(1, 16, 4, 4)}
        >>> {name: tuple(x.shape) for name, x in fpn(maps).items()}
        {'c2': (1, 4, 8, 8), 'c3': (1, 4, 4, 4), 'pool': (1, 4, 2, 2)}
    """

    def __init__(
        self,
        in_channels_list: Sequence[int],
        out_channels: int,
        extra_blocks: nn.Module | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        block = partial(Conv2dNormActivation, norm_layer=norm_layer, activation_layer=None)
        self.inner_blocks = nn.ModuleList(
            block(channels, out_channels, kernel_size=1) for channels in in_channels_list
        )
        self.layer_blocks = nn.ModuleList(
            block(out_channels, out_channels) for _ in in_channels_list
        )
        self.extra_blocks = extra_blocks
        for blocks in (self.inner_blocks, self.layer_blocks):
            for conv in blocks.modules():
                if isinstance(conv, nn.Conv2d):
                    nn.init.kaiming_uniform_(conv.weight, a=1)
                    if conv.bias is not None:
                        fill(conv.bias)

    def forward(self, x: dict[str, Tensor]) -> dict[str, Tensor]:
        """The pyramid.

        Args:
            x: ``[N, C_i, H_i, W_i]`` for each level, finest first.

        Returns:
            ``[N, out_channels, H_i, W_i]`` under the same names, then the extra levels.
        """
        names, inputs = list(x.keys()), list(x.values())
        if len(inputs) != len(self.inner_blocks):
            raise ValueError(
                f"FeaturePyramidNetwork: x must have {len(self.inner_blocks)} levels, got {names}"
            )
        # Loops that the script compiler can unroll.
        inner: list[Tensor] = []
        for i, block in enumerate(self.inner_blocks):
            inner.append(block(inputs[i]))
        for i in range(len(inner) - 2, -1, -1):
            inner[i] = inner[i] + F.interpolate(inner[i + 1], size=inner[i].shape[-2:])
        outputs: list[Tensor] = []
        for i, block in enumerate(self.layer_blocks):
            outputs.append(block(inner[i]))
        if self.extra_blocks is not None:
            outputs, names = self.extra_blocks(outputs, inputs, names)
        pyramid: dict[str, Tensor] = {}
        for i, name in enumerate(names):
            pyramid[name] = outputs[i]
        return pyramid

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        for i in range(len(self.inner_blocks)):
            for blocks in ("inner_blocks", "layer_blocks"):
                for kind in ("weight", "bias"):
                    old = f"{prefix}{blocks}.{i}.{kind}"
                    if old in state_dict:
                        state_dict[f"{prefix}{blocks}.{i}.0.{kind}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, *args)
