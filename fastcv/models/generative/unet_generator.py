"""pix2pix's generator: a U-Net that goes down to one cell."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import torch
from torch import Tensor, nn

from fastcv.models._registry import register
from fastcv.models.generative._gan_layers import Norm, draw_weights, norm_layer, take_old_files
from fastcv.models.generative._patch_discriminator import PatchDiscriminator
from fastcv.models.generative._translator import ImageTranslator
from fastcv.models.generative.pix2pix import Pix2Pix

DROPOUT = 0.5


class Level(nn.Module):
    """Half the size, the level within, twice the size; and beside it the input, as a skip.

    Args:
        outer: channels of the input, and of the output without the skip.
        inner: channels at half the size.
        within: the next smaller level; None: this is the smallest.
        norm: ``"batch"`` or ``"instance"``.
        dropout: behind the norm on the way up.
    """

    def __init__(
        self, outer: int, inner: int, within: nn.Module | None, *, norm: Norm, dropout: bool = False
    ) -> None:
        super().__init__()
        bias = norm == "instance"  # batch norm has its own
        layers = [nn.LeakyReLU(0.2, True), nn.Conv2d(outer, inner, 4, 2, 1, bias=bias)]
        inputs = inner
        if within is not None:
            layers += [norm_layer(norm, inner), within]
            inputs = 2 * inner
        layers += [nn.ReLU(True), nn.ConvTranspose2d(inputs, outer, 4, 2, 1, bias=bias)]
        layers.append(norm_layer(norm, outer))
        if dropout:
            layers.append(nn.Dropout(DROPOUT))
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        # What the skip carries has been through the leaky ReLU: in the published code that layer
        # writes over its input.
        x = self.model[0](x)
        return torch.cat([x, self.model[1:](x)], dim=1)


class UNetGenerator(ImageTranslator):
    """The U-Net of pix2pix, each level half the size of the one around it.

    Args:
        downs: levels, 5 or more; sides are padded to multiples of ``2 ** downs``.
        in_channels: of the input.
        out_channels: of the output.
        width: channels of the largest level; the next three have 2, 4 and 8 times as many.
        norm: ``"batch"`` or ``"instance"``; with instance norm every convolution has a bias.
        dropout: in the smaller levels of 8 times the width, but for the smallest. It is the
            paper's only source of chance.

    Source: Isola et al. (2017), section 6.1.1. Keys are those of
        junyanz/pytorch-CycleGAN-and-pix2pix.

    Example:
        >>> import torch
        >>> from fastcv.models.generative.unet_generator import UNetGenerator
        >>> model = UNetGenerator(5, width=4)
        >>> model(torch.zeros(1, 3, 64, 96)).shape
        torch.Size([1, 3, 64, 96])
        >>> model.predict(torch.zeros(3, 50, 70))
        [Generated(1 picture of 50x70)]
    """

    def __init__(
        self,
        downs: int,
        *,
        in_channels: int = 3,
        out_channels: int = 3,
        width: int = 64,
        norm: Norm = "batch",
        dropout: bool = True,
    ) -> None:
        super().__init__()
        if downs < 5:
            raise ValueError(f"downs must be at least 5, got {downs}")
        self.in_channels, self.out_channels, self.norm = in_channels, out_channels, norm
        self.multiple = self.min_side = 2**downs
        level = Level(8 * width, 8 * width, None, norm=norm)
        for _ in range(downs - 5):
            level = Level(8 * width, 8 * width, level, norm=norm, dropout=dropout)
        for outer in (4, 2, 1):
            level = Level(outer * width, 2 * outer * width, level, norm=norm)
        outermost = nn.Sequential(
            nn.Conv2d(in_channels, width, 4, 2, 1, bias=norm == "instance"),
            level,
            nn.ReLU(True),
            nn.ConvTranspose2d(2 * width, out_channels, 4, 2, 1),
            nn.Tanh(),
        )
        self.model = nn.Sequential(OrderedDict(model=outermost))
        draw_weights(self)
        take_old_files(self, norm)

    def forward(self, images: Tensor) -> Tensor:
        """Pictures ``[B, out_channels, H, W]`` in [-1, 1] of ``[B, in_channels, H, W]`` in [-1, 1].

        Raises:
            ValueError: another number of channels, or a side that is no multiple of
                ``2 ** downs``.
        """
        channels, *sides = images.shape[1:]
        if channels != self.in_channels or any(side % self.multiple for side in sides):
            raise ValueError(
                f"images must be [B, {self.in_channels}, H, W] with sides that are multiples of "
                f"{self.multiple}, got {list(images.shape)}"
            )
        pictures: Tensor = self.model(images)
        return pictures

    def gan(self, judge: nn.Module | None = None, **options: Any) -> Pix2Pix:
        """This generator, and a discriminator, for ``fastcv.learn.fit``.

        Args:
            judge: the discriminator; by default the paper's of patches.
            options: the weights of the terms, as ``Pix2Pix`` takes them.
        """
        if judge is None:
            channels = self.in_channels + self.out_channels
            judge = PatchDiscriminator(channels, norm=self.norm)
        return Pix2Pix(self, judge, **options)


@register("pix2pix_unet256", task="translation")
def pix2pix_unet256(**config: Any) -> UNetGenerator:
    """pix2pix's generator for 256 x 256 pixels: eight levels, down to one cell."""
    return UNetGenerator(8, **config)


@register("pix2pix_unet128", task="translation")
def pix2pix_unet128(**config: Any) -> UNetGenerator:
    """pix2pix's generator for 128 x 128 pixels: seven levels."""
    return UNetGenerator(7, **config)


@register("pix2pix_unet64", task="translation")
def pix2pix_unet64(**config: Any) -> UNetGenerator:
    """The same for 64 x 64 pixels: six levels."""
    return UNetGenerator(6, **config)
