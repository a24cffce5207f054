"""GAN-CLS: pictures of sentences, by a discriminator that knows which sentence is right."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fastcv.models._registry import register
from fastcv.models.generative._gan_layers import draw_weights
from fastcv.models.generative.dcgan import (
    SLOPE,
    as_maps,
    enlarging_layers,
    shrinking_layers,
    stage_widths,
)
from fastcv.models.language._text_to_image import TextToImage
from fastcv.models.language.matching_gan import MatchingGAN

TEXT = 1024  # numbers of a sentence's vector, section 5
PROJECTED = 128  # what the networks make of them, section 4.1


def projection(inputs: int, outputs: int) -> nn.Sequential:
    """From the vectors of sentences ``[B, inputs]`` to what is put beside the random numbers."""
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.LeakyReLU(SLOPE))


class GANCLS(TextToImage):
    """DCGAN's generator with a sentence beside the random numbers.

    Args:
        words: those that sentences are made of; without any, the model takes vectors alone.
        size: height and width of the pictures, a power of 2.
        text_size: numbers of a sentence's vector.
        projected: what it is made smaller to.
        latent_size: how many random numbers a picture is made of.
        width: channels of the maps of half the size; each smaller one has twice as many.

    Raises:
        ValueError: a size that is no power of 2, or words that are there twice.

    Source: Reed et al., "Generative Adversarial Text to Image Synthesis" (2016), section 4.1 and
        figure 2.

    Example:
        >>> import fastcv
        >>> model = fastcv.create_model("gan_cls_64", words=["a", "red", "seven", "on", "grass"])
        >>> sum(p.numel() for p in model.parameters())
        4756736
        >>> model.sample("a red seven on grass", n=4, seed=1)
        Generated(4 pictures of 64x64, seed 1)
    """

    def __init__(
        self,
        words: Sequence[str] = (),
        *,
        size: int = 64,
        text_size: int = TEXT,
        projected: int = PROJECTED,
        latent_size: int = 100,
        width: int = 64,
    ) -> None:
        super().__init__(words, text_size)
        self.size, self.width = size, width
        self.projected, self.latent_size = projected, latent_size
        self.projection = projection(text_size, projected)
        self.main = enlarging_layers(latent_size + projected, width, size)
        draw_weights(self)

    def forward(self, latents: Tensor, vectors: Tensor) -> Tensor:
        """Pictures ``[B, 3, S, S]`` in [-1, 1].

        Args:
            latents: ``[B, Z]``, or ``[B, Z, 1, 1]``.
            vectors: ``[B, D]``, of sentences.

        Raises:
            ValueError: latents or vectors of another shape.
        """
        maps = as_maps(latents, self.latent_size)
        told = self.projection(self.embed(vectors))
        return self.main(torch.cat([maps, as_maps(told, self.projected)], dim=1))

    def gan(self, *, interpolation: float | None = 0.5) -> MatchingGAN:
        """This generator, and a discriminator of its size, for ``fastcv.learn.fit``.

        Args:
            interpolation: as of ``MatchingGAN``: 0.5 is GAN-INT-CLS, None is GAN-CLS.
        """
        discriminator = GANCLSDiscriminator(
            size=self.size, width=self.width, text_size=self.text_size, projected=self.projected
        )
        return MatchingGAN(self, discriminator, interpolation=interpolation)


class GANCLSDiscriminator(nn.Module):
    """DCGAN's discriminator, which looks at the sentence where the maps have 4 x 4 cells.

    Args:
        size, width, text_size, projected: as of ``GANCLS``.
        joint: with the paper's convolution of 1 x 1 over maps and sentence. Without it, as in a
            known port, the score is a number of the picture plus one of the sentence: such a
            discriminator cannot tell whether they belong together.

    Source: Reed et al. (2016), section 4.1 and figure 2; norm and slope of the joint layer are
        those of the authors' program.

    Example:
        >>> import torch
        >>> from fastcv.models.language.gan_cls import GANCLSDiscriminator
        >>> model = GANCLSDiscriminator()
        >>> sum(p.numel() for p in model.parameters())
        3227776
        >>> model(torch.rand(2, 3, 64, 64), torch.rand(2, 1024)).shape
        torch.Size([2])
    """

    def __init__(
        self,
        *,
        size: int = 64,
        width: int = 64,
        text_size: int = TEXT,
        projected: int = PROJECTED,
        joint: bool = True,
    ) -> None:
        super().__init__()
        self.main = shrinking_layers(3, width, size)
        self.projection = projection(text_size, projected)
        last = stage_widths(width, size)[-1]
        channels = last + projected
        self.joint = nn.Sequential()
        if joint:
            self.joint = nn.Sequential(
                nn.Conv2d(channels, last, 1, bias=False), nn.BatchNorm2d(last), nn.LeakyReLU(SLOPE)
            )
            channels = last
        self.score = nn.Conv2d(channels, 1, 4, bias=False)
        draw_weights(self)

    def forward(self, pictures: Tensor, vectors: Tensor) -> Tensor:
        """Scores ``[B]`` of pictures ``[B, 3, S, S]`` in [-1, 1] with sentences ``[B, D]``; or
        ``[K, B]`` with ``[K, B, D]``, K sentences each, and the pictures are looked at once."""
        maps = self.main(pictures)
        if vectors.ndim == 3:
            return torch.stack([self._scores(maps, each) for each in vectors])
        return self._scores(maps, vectors)

    def _scores(self, maps: Tensor, vectors: Tensor) -> Tensor:
        told = self.projection(vectors)[:, :, None, None].expand(-1, -1, *maps.shape[2:])
        return self.score(self.joint(torch.cat([maps, told], dim=1))).flatten()


@register("gan_cls_64", task="text_to_image")
def gan_cls_64(
    *,
    words: Sequence[str] = (),
    size: int = 64,
    text_size: int = TEXT,
    projected: int = PROJECTED,
    latent_size: int = 100,
    width: int = 64,
) -> GANCLS:
    """GAN-CLS for pictures of 64 x 64, or of another power of 2."""
    return GANCLS(
        words,
        size=size,
        text_size=text_size,
        projected=projected,
        latent_size=latent_size,
        width=width,
    )
