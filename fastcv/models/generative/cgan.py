"""A conditional GAN: DCGAN that is told which class to make, and judged by it."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.models._registry import register
from fastcv.models.generative._gan_layers import draw_weights
from fastcv.models.generative._generator import Generator
from fastcv.models.generative.dcgan import (
    as_maps,
    enlarging_layers,
    shrinking_layers,
    stage_widths,
)
from fastcv.models.generative.gan import GAN
from fastcv.nn.losses.adversarial import NonSaturating

Condition = Literal["embedding", "concatenation"]
CONDITIONS = ("embedding", "concatenation")
EMBEDDING = 50  # numbers of a class's learned vector in the generator


class CGAN(Generator):
    """DCGAN's generator with a condition beside the random numbers, or in place of them.

    Args:
        num_classes: that can be asked for.
        condition: how a class is told. ``"concatenation"``: as a vector of zeros and one 1, beside
            the random numbers; the discriminator sees it as so many planes beside the picture.
            ``"embedding"``: as a learned vector beside the random numbers; in the discriminator a
            learned vector is multiplied with the features.
        size: height and width of the pictures, a power of 2.
        latent_size: how many random numbers a picture is made of; 0: none, then every picture of a
            class is the same.
        width: channels of the maps of half the size; each smaller one has twice as many.

    Raises:
        ValueError: a condition of another name, or numbers out of their range.

    Source: Mirza and Osindero, "Conditional Generative Adversarial Nets" (2014), section 3.2; the
        discriminator's product: Miyato and Koyama, "cGANs with Projection Discriminator" (2018),
        equation 3.

    Example:
        >>> import fastcv
        >>> model = fastcv.create_model("cgan", size=16, width=16)
        >>> made = model.sample(3, labels=7, seed=1)
        >>> made, made.labels
        (Generated(3 pictures of 16x16, seed 1), tensor([7, 7, 7]))
    """

    def __init__(
        self,
        *,
        num_classes: int = 10,
        condition: Condition = "embedding",
        size: int = 64,
        latent_size: int = 100,
        width: int = 64,
    ) -> None:
        super().__init__()
        if condition not in CONDITIONS:
            raise ValueError(f"condition must be one of {', '.join(CONDITIONS)}, got {condition!r}")
        if num_classes < 1 or latent_size < 0:
            raise ValueError(
                "num_classes must be at least 1 and latent_size at least 0, got "
                f"{num_classes} and {latent_size}"
            )
        self.condition, self.size, self.width = condition, size, width
        self.latent_size = latent_size
        self.classes = tuple(map(str, range(num_classes)))
        told = num_classes if condition == "concatenation" else EMBEDDING
        if condition == "embedding":
            self.embedding = nn.Embedding(num_classes, EMBEDDING)
        self.main = enlarging_layers(latent_size + told, width, size)
        draw_weights(self)

    def forward(self, latents: Tensor, labels: Tensor) -> Tensor:
        """Pictures ``[B, 3, S, S]`` in [-1, 1].

        Args:
            latents: ``[B, Z]``, or ``[B, Z, 1, 1]``.
            labels: ``[B]`` int64.

        Raises:
            ValueError: vectors of another shape.
        """
        vectors = as_maps(latents, self.latent_size).flatten(1)
        if self.condition == "embedding":
            told = self.embedding(labels)
        else:
            told = F.one_hot(labels, len(self.classes)).to(vectors)
        return self.main(torch.cat([vectors, told], dim=1)[:, :, None, None])

    def gan(self) -> GAN:
        """This generator, and a discriminator of its size, for ``fastcv.learn.fit``."""
        discriminator = CGANDiscriminator(
            len(self.classes), self.condition, size=self.size, width=self.width
        )
        return GAN(self, discriminator, NonSaturating(), penalty=0, drift=0)


class CGANDiscriminator(nn.Module):
    """DCGAN's discriminator, which is told the class that a picture is to be of.

    Args:
        num_classes, condition, size, width: as of ``CGAN``.

    Example:
        >>> import torch
        >>> from fastcv.models.generative.cgan import CGANDiscriminator
        >>> model = CGANDiscriminator(10, "embedding", size=16, width=16)
        >>> model(torch.rand(2, 3, 16, 16), torch.tensor([3, 7])).shape
        torch.Size([2])
    """

    def __init__(self, num_classes: int, condition: Condition, *, size: int, width: int) -> None:
        super().__init__()
        self.num_classes, self.condition = num_classes, condition
        last = stage_widths(width, size)[-1]
        planes = num_classes if condition == "concatenation" else 0
        self.main = shrinking_layers(3 + planes, width, size)
        self.score = nn.Conv2d(last, 1, 4, bias=False)
        if condition == "embedding":
            self.embedding = nn.Embedding(num_classes, last)
        draw_weights(self)

    def forward(self, pictures: Tensor, labels: Tensor) -> Tensor:
        """Scores ``[B]`` of pictures ``[B, 3, S, S]`` in [-1, 1] with labels ``[B]``."""
        if self.condition == "concatenation":
            told = F.one_hot(labels, self.num_classes).to(pictures)[:, :, None, None]
            pictures = torch.cat([pictures, told.expand(-1, -1, *pictures.shape[2:])], dim=1)
        features = self.main(pictures)
        score = self.score(features).flatten()
        if self.condition == "embedding":
            score = score + (self.embedding(labels) * features.mean(dim=(2, 3))).sum(dim=1)
        return score


@register("cgan", task="generation")
def cgan(
    *,
    num_classes: int = 10,
    condition: Condition = "embedding",
    size: int = 64,
    latent_size: int = 100,
    width: int = 64,
) -> CGAN:
    """DCGAN with a class to ask for."""
    return CGAN(
        num_classes=num_classes,
        condition=condition,
        size=size,
        latent_size=latent_size,
        width=width,
    )
