"""Super-resolution that learns from features alone: no pixel is compared."""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn

from fastcv.models._registry import register
from fastcv.models.generative._loss_network import loss_network
from fastcv.models.generative.perceptual import Perceptual, PerceptualTranslator
from fastcv.models.generative.style_transfer import ReflectedConv
from fastcv.nn.losses.perceptual import PerceptualLoss

CONTENT_LAYER = "relu2_2"


class Residual(nn.Module):
    """Two convolutions with batch norms, added to their input; no ReLU after the sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            ReflectedConv(channels, channels, 3),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            ReflectedConv(channels, channels, 3),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class PerceptualSR(PerceptualTranslator):
    """From pictures to pictures that are ``scale`` times as high and wide.

    Four residual blocks at the small size, then a doubling after the other.

    Args:
        scale: 2, 4 or 8.
        width: channels.
        blocks: residual blocks.

    Raises:
        ValueError: another scale.

    Source: Johnson et al. (2016), section 4.2; the layers: supplement, table 2.

    Example:
        >>> import fastcv, torch
        >>> model = fastcv.create_model("perceptual_sr_x4")
        >>> model.predict(torch.rand(3, 8, 12))
        [Generated(1 picture of 32x48)]
    """

    min_side = 5  # of fewer pixels a border of 4 has nothing to reflect

    def __init__(self, *, scale: int = 4, width: int = 64, blocks: int = 4) -> None:
        super().__init__()
        if scale not in (2, 4, 8):
            raise ValueError(f"scale must be 2, 4 or 8, got {scale}")
        self.scale = scale
        self.first = nn.Sequential(ReflectedConv(3, width, 9), nn.BatchNorm2d(width), nn.ReLU())
        self.blocks = nn.Sequential(*[Residual(width) for _ in range(blocks)])
        doublings: list[nn.Module] = []
        for _ in range(scale.bit_length() - 1):
            doublings.append(ReflectedConv(width, width, 3, times=2))
            doublings += [nn.BatchNorm2d(width), nn.ReLU()]
        self.doublings = nn.Sequential(*doublings)
        self.last = ReflectedConv(width, 3, 9)

    def forward(self, images: Tensor) -> Tensor:
        """Pictures ``[B, 3, scale * H, scale * W]`` in [-1, 1] of ``[B, 3, H, W]`` in [-1, 1].

        Raises:
            ValueError: images of another shape, or a side under 5.
        """
        if images.ndim != 4 or images.shape[1] != 3 or min(images.shape[2:]) < self.min_side:
            raise ValueError(
                f"images must be [B, 3, H, W] with sides of at least {self.min_side}, got "
                f"{list(images.shape)}"
            )
        x = self.doublings(self.blocks(self.first(images)))
        return torch.tanh(self.last(x))

    def unclipped(self, output: Tensor) -> Tensor:
        """What ``forward`` returned, in [0, 1]."""
        return output.add(1).div(2)

    def perceptual(
        self, *, loss_weights: str | os.PathLike[str] | None = None, tv_weight: float = 0.0
    ) -> Perceptual:
        """This network and the feature loss, for ``fastcv.learn.fit`` on ``(small, large)``.

        Args:
            loss_weights: a file of VGG-16's weights, whose relu2_2 is compared; None: random ones.
            tv_weight: of the total variation.

        Raises:
            ValueError: a negative weight, or a file that is not VGG-16's.
            FileNotFoundError: no such file.
        """
        loss = PerceptualLoss(
            loss_network(loss_weights), content={CONTENT_LAYER: 1.0}, tv=tv_weight, relative=True
        )
        return Perceptual(self, loss)


@register("perceptual_sr_x4", task="translation")
def perceptual_sr_x4(*, scale: int = 4, width: int = 64, blocks: int = 4) -> PerceptualSR:
    """Johnson's super-resolution, four times as large."""
    return PerceptualSR(scale=scale, width=width, blocks=blocks)


@register("perceptual_sr_x8", task="translation")
def perceptual_sr_x8(*, scale: int = 8, width: int = 64, blocks: int = 4) -> PerceptualSR:
    """The same, eight times as large."""
    return PerceptualSR(scale=scale, width=width, blocks=blocks)
