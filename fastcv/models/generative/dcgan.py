"""DCGAN: a generator and a discriminator of strided convolutions, and nothing else."""

from __future__ import annotations

import math

from torch import Tensor, nn

from fastcv.models._registry import register
from fastcv.models.generative._gan_layers import draw_weights
from fastcv.models.generative._generator import Generator
from fastcv.models.generative.gan import GAN
from fastcv.nn.losses.adversarial import NonSaturating

SLOPE = 0.2  # of the discriminator's leaky ReLU, section 3


def enlarging_layers(inputs: int, width: int, size: int) -> nn.Sequential:
    """From maps ``[B, inputs, 1, 1]`` to pictures ``[B, 3, size, size]`` in [-1, 1].

    Example:
        >>> import torch
        >>> from fastcv.models.generative.dcgan import enlarging_layers
        >>> enlarging_layers(100, 64, 64)(torch.rand(2, 100, 1, 1)).shape
        torch.Size([2, 3, 64, 64])
    """
    widths = stage_widths(width, size)[::-1]
    layers: list[nn.Module] = []
    for i, channels in enumerate(widths):
        stride, padding = (2, 1) if i else (1, 0)
        layers += [
            nn.ConvTranspose2d(inputs, channels, 4, stride, padding, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
        ]
        inputs = channels
    return nn.Sequential(*layers, nn.ConvTranspose2d(inputs, 3, 4, 2, 1, bias=False), nn.Tanh())


def shrinking_layers(inputs: int, width: int, size: int) -> nn.Sequential:
    """From pictures ``[B, inputs, size, size]`` to maps of 4 x 4; no norm in the first layer.

    Example:
        >>> import torch
        >>> from fastcv.models.generative.dcgan import shrinking_layers
        >>> shrinking_layers(3, 64, 64)(torch.rand(2, 3, 64, 64)).shape
        torch.Size([2, 512, 4, 4])
    """
    layers: list[nn.Module] = []
    for i, channels in enumerate(stage_widths(width, size)):
        layers.append(nn.Conv2d(inputs, channels, 4, 2, 1, bias=False))
        if i:
            layers.append(nn.BatchNorm2d(channels))
        layers.append(nn.LeakyReLU(SLOPE))
        inputs = channels
    return nn.Sequential(*layers)


def stage_widths(width: int, size: int) -> list[int]:
    """Channels of the maps of half the size, a quarter, and so on down to 4 pixels.

    Raises:
        ValueError: a size that is no power of 2, or under 8.

    Example:
        >>> from fastcv.models.generative.dcgan import stage_widths
        >>> stage_widths(64, 64)
        [64, 128, 256, 512]
    """
    stages = int(math.log2(max(size, 1))) - 2
    if stages < 1 or size != 4 * 2**stages:
        raise ValueError(f"size must be 8, 16, 32 or another power of 2, got {size}")
    return [width * 2**i for i in range(stages)]


def as_maps(latents: Tensor, size: int) -> Tensor:
    """Vectors ``[B, Z]`` or ``[B, Z, 1, 1]`` as maps of one cell.

    Raises:
        ValueError: vectors of another shape.
    """
    if latents.shape[1:] not in ((size,), (size, 1, 1)):
        raise ValueError(f"latents must be [B, {size}], got {list(latents.shape)}")
    return latents.flatten(1)[:, :, None, None]


class DCGAN(Generator):
    """The generator: transposed convolutions, each twice as large as the one before.

    Args:
        size: height and width of the pictures, a power of 2.
        latent_size: how many random numbers a picture is made of.
        width: channels of the maps of half the size; each smaller one has twice as many.

    Source: Radford, Metz, Chintala, "Unsupervised Representation Learning with Deep Convolutional
        Generative Adversarial Networks" (2016), figure 1; the keys and widths are those of
        pytorch/examples.

    Example:
        >>> import fastcv
        >>> model = fastcv.create_model("dcgan_64")
        >>> sum(p.numel() for p in model.parameters())
        3576704
        >>> model.sample(2, seed=1)
        Generated(2 pictures of 64x64, seed 1)
    """

    def __init__(self, *, size: int = 64, latent_size: int = 100, width: int = 64) -> None:
        super().__init__()
        self.size, self.latent_size, self.width = size, latent_size, width
        self.main = enlarging_layers(latent_size, width, size)
        draw_weights(self)

    def forward(self, latents: Tensor) -> Tensor:
        """Pictures ``[B, 3, S, S]`` in [-1, 1] of vectors ``[B, Z]`` or ``[B, Z, 1, 1]``.

        Raises:
            ValueError: vectors of another shape.
        """
        return self.main(as_maps(latents, self.latent_size))

    def gan(self) -> GAN:
        """This generator, and a discriminator of its size, for ``fastcv.learn.fit``."""
        discriminator = DCGANDiscriminator(size=self.size, width=self.width)
        return GAN(self, discriminator, NonSaturating(), penalty=0, drift=0)


class DCGANDiscriminator(nn.Module):
    """The mirror image: strided convolutions down to one score, a logit.

    The keys are those of pytorch/examples, whose last layer is a sigmoid: the loss has it here.

    Args:
        size: height and width of the pictures, a power of 2.
        width: channels of the first maps; each smaller one has twice as many.

    Example:
        >>> import torch
        >>> from fastcv.models.generative.dcgan import DCGANDiscriminator
        >>> model = DCGANDiscriminator()
        >>> sum(p.numel() for p in model.parameters())
        2765568
        >>> model(torch.rand(2, 3, 64, 64)).shape
        torch.Size([2])
    """

    def __init__(self, *, size: int = 64, width: int = 64) -> None:
        super().__init__()
        last = stage_widths(width, size)[-1]
        layers = shrinking_layers(3, width, size)
        self.main = nn.Sequential(*layers, nn.Conv2d(last, 1, 4, bias=False))
        draw_weights(self)

    def forward(self, pictures: Tensor) -> Tensor:
        """Scores ``[B]`` of pictures ``[B, 3, S, S]`` in [-1, 1]."""
        return self.main(pictures).flatten()


@register("dcgan_64", task="generation")
def dcgan_64(*, size: int = 64, latent_size: int = 100, width: int = 64) -> DCGAN:
    """DCGAN for pictures of 64 x 64, or of another power of 2."""
    return DCGAN(size=size, latent_size=latent_size, width=width)
