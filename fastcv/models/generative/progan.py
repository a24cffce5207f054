"""ProGAN's generator: from a vector to a picture, twice as large after every second layer."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.models._registry import register
from fastcv.models.generative._generator import Generator
from fastcv.models.generative._progan_discriminator import ProGANDiscriminator
from fastcv.models.generative._scale_and_bias import ScaleAndBias
from fastcv.models.generative.gan import GAN

CHANNELS_256 = (512, 512, 512, 512, 256, 128, 64, 32)
"""Of the vector, then of the layers at 4, 8, 16, 32, 64, 128 and 256 pixels."""


def pixel_norm(x: Tensor) -> Tensor:
    """Each place's channels over the root of their mean square.

    Source: Karras et al. (2018), section 4.2.

    Example:
        >>> import torch
        >>> pixel_norm(torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)).flatten()
        tensor([0.8485, 1.1314])
    """
    return x / (x.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()


class NormConv(nn.Module):
    """Pixel norm, larger where it is the first layer of its size, convolution, leaky ReLU.

    Args:
        inputs: channels.
        outputs: channels.
        kernel: side of the kernel.
        padding: zeros on each side.
        enlarge: twice the size, by repeating pixels.
        is_output: nothing follows, and the scale is for that.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        padding: int = 0,
        enlarge: bool = False,
        is_output: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False)
        nn.init.normal_(self.conv.weight)
        gain = 1.0 if is_output else math.sqrt(2)
        self.wscale = ScaleAndBias(outputs, gain / (kernel * math.sqrt(inputs)))
        self.enlarge = enlarge
        self.is_output = is_output

    def forward(self, x: Tensor) -> Tensor:
        x = pixel_norm(x)
        if self.enlarge:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        x = self.wscale(self.conv(x))
        return x if self.is_output else F.leaky_relu(x, 0.2)


class ProGAN(Generator):
    """The generator, grown to its full size; layers can be read and changed by name.

    Args:
        channels: of the vector, then of each size's layers from 4 pixels on, each twice as large
            as the one before.

    Source: Karras et al., "Progressive Growing of GANs for Improved Quality, Stability, and
        Variation" (2018), table 2; the keys are those of GAN Dissection (davidbau/dissect), its
        older ones (``features.0``) load too.

    Example:
        >>> import torch
        >>> from fastcv.models.generative.progan import ProGAN
        >>> model = ProGAN((16, 16, 8, 8))
        >>> model.sample(2, seed=1)
        Generated(2 pictures of 16x16, seed 1)
        >>> model.layer3(model.layer2(model.layer1(model.latents(1)[:, :, None, None]))).shape
        torch.Size([1, 8, 8, 8])
    """

    def __init__(self, channels: Sequence[int] = CHANNELS_256) -> None:
        super().__init__()
        if len(channels) < 2:
            raise ValueError(
                f"channels must be those of the vector and of one size or more, got {channels}"
            )
        self.channels = tuple(channels)
        self.size = 2 ** len(channels)
        self.latent_size = channels[0]
        z, first = channels[:2]
        # On a vector, as a map of one cell, padding by 3 makes every cell of 4 x 4 its own weights.
        layers = [NormConv(z, first, 4, padding=3), NormConv(first, first, 3, padding=1)]
        for inputs, outputs in itertools.pairwise(channels[1:]):
            layers.append(NormConv(inputs, outputs, 3, padding=1, enlarge=True))
            layers.append(NormConv(outputs, outputs, 3, padding=1))
        self.layers = [f"layer{i + 1}" for i in range(len(layers))]
        self.output = f"output_{self.size}x{self.size}"
        for name, layer in zip(self.layers, layers, strict=True):
            self.add_module(name, layer)
        self.add_module(self.output, NormConv(channels[-1], 3, 1, is_output=True))

    def rename_key(self, key: str) -> str:
        if found := re.fullmatch(r"features\.(\d+)\.(.+)", key):
            return f"layer{int(found[1]) + 1}.{found[2]}"
        return key.replace("output.", f"{self.output}.", 1) if key.startswith("output.") else key

    def forward(self, latents: Tensor) -> Tensor:
        """Pictures ``[B, 3, S, S]`` of vectors ``[B, Z]`` or ``[B, Z, 1, 1]``.

        Trained ones lie in [-1, 1], and a little beyond.

        Raises:
            ValueError: vectors of another shape.
        """
        if latents.ndim not in (2, 4) or latents[0].numel() != self.channels[0]:
            raise ValueError(f"latents must be [B, {self.channels[0]}], got {list(latents.shape)}")
        x = latents.flatten(1)[:, :, None, None]
        for name in (*self.layers, self.output):
            x = self.get_submodule(name)(x)
        return x

    def gan(self) -> GAN:
        """This generator, and a discriminator of its size, for ``fastcv.learn.fit``."""
        return GAN(self, ProGANDiscriminator(self.channels))


@register("progan_256", task="generation")
def progan_256(*, channels: Sequence[int] = CHANNELS_256) -> ProGAN:
    """The generator for 256 x 256 pixels of GAN Dissection's churches, bedrooms and kitchens."""
    return ProGAN(channels)
