"""A generator and a discriminator that learn from each other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fastcv.models._model import Model
from fastcv.models.generative._generator import Generator

PENALTY = 10.0  # of the gradient's norm
DRIFT = 1e-3  # of the scores' size


class GAN(Model):
    """Two players for ``fastcv.learn.fit``: the discriminator scores pictures, the generator wants
    high scores.

    The loss is that of a Wasserstein GAN with a gradient penalty, and a drift term that keeps the
    scores near zero. The generator's random numbers are torch's.

    Args:
        generator: from latents ``[B, Z]`` to pictures ``[B, 3, H, W]`` in [-1, 1].
        discriminator: from such pictures to scores ``[B]``.

    Source: Gulrajani et al., "Improved Training of Wasserstein GANs" (2017), equation 3; the drift
        term: Karras et al., "Progressive Growing of GANs" (2018), appendix A.1.

    Example:
        >>> import torch
        >>> from fastcv.models.generative.progan import ProGAN
        >>> gan = ProGAN((8, 8, 8)).gan()
        >>> real = gan(torch.rand(4, 3, 8, 8))
        >>> list(gan.loss(real, None, player="discriminator"))
        ['distance', 'gradient_penalty', 'drift']
        >>> list(gan.loss(real, None, player="generator"))
        ['score']
    """

    def __init__(self, generator: Generator, discriminator: nn.Module) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator

    @property
    def players(self) -> dict[str, nn.Module]:
        """The discriminator, then the generator; see ``fastcv.learn.fit``."""
        return {"discriminator": self.discriminator, "generator": self.generator}

    def forward(self, images: Tensor) -> Tensor:
        """Real pictures ``[B, 3, H, W]`` in [0, 1] as the generator makes them, in [-1, 1]."""
        return images * 2 - 1

    def loss(self, output: Tensor, targets: Any, *, player: str) -> dict[str, Tensor]:
        """The terms of one player.

        Args:
            output: of ``forward``.
            targets: are not used: nobody says what is in the pictures.
            player: ``"discriminator"`` or ``"generator"``.

        Raises:
            ValueError: another player.
        """
        if player not in self.players:
            raise ValueError(f"player must be one of {', '.join(self.players)}, got {player!r}")
        latents = torch.randn(len(output), self.generator.latent_size).to(output)
        if player == "generator":
            return {"score": -self.discriminator(self.generator(latents)).mean()}
        with torch.no_grad():
            fake = self.generator(latents)
        scores = self.discriminator(output)
        return {
            "distance": self.discriminator(fake).mean() - scores.mean(),
            "gradient_penalty": PENALTY * self._excess(output, fake).square().mean(),
            "drift": DRIFT * scores.square().mean(),
        }

    def _excess(self, real: Tensor, fake: Tensor) -> Tensor:
        """``[B]``: how far the norm of the score's gradient is from 1, between two pictures."""
        share = torch.rand(len(real), 1, 1, 1).to(real)
        between = torch.lerp(fake, real, share).requires_grad_()
        score = self.discriminator(between).sum()
        (gradient,) = torch.autograd.grad(score, between, create_graph=True)
        return gradient.flatten(1).norm(dim=1) - 1
