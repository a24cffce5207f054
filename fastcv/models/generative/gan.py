"""A generator and a discriminator that learn from each other."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from fastcv.models._model import Model
from fastcv.models.generative._generator import LatentModel, check_labels
from fastcv.nn.losses.adversarial import AdversarialLoss, Wasserstein, gradient_penalty


class GAN(Model):
    """Two players for ``fastcv.learn.fit``: the discriminator scores pictures, the generator wants
    high scores.

    By default the loss is that of a Wasserstein GAN with a gradient penalty, and a drift term that
    keeps the scores near zero. The generator's random numbers are torch's.

    Args:
        generator: from latents ``[B, Z]`` to pictures ``[B, 3, H, W]`` in [-1, 1]. One with
            ``classes`` also gets labels ``[B]``, those of the real pictures.
        discriminator: from such pictures, and the same labels, to scores ``[B]``.
        adversarial: what the players want of the scores.
        penalty: the weight of ``gradient_penalty``; 0: without.
        drift: the weight of the square of real pictures' scores; 0: without.

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

    generator: LatentModel

    def __init__(
        self,
        generator: LatentModel,
        discriminator: nn.Module,
        adversarial: AdversarialLoss | None = None,
        *,
        penalty: float = 10.0,
        drift: float = 1e-3,
    ) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.adversarial = adversarial or Wasserstein()
        self.penalty, self.drift = penalty, drift

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
            targets: the labels ``[B]`` where the generator takes some; else they are not used.
            player: ``"discriminator"`` or ``"generator"``.

        Raises:
            ValueError: another player, or targets that are no labels.
            TypeError: targets that are no tensor, where labels are needed.
        """
        self.check_player(player)
        # A conditional generator is asked for what is in the real pictures.
        condition: tuple[Tensor, ...] = ()
        if self.generator.classes:
            check_labels(targets, len(output), len(self.generator.classes), "targets")
            condition = (targets,)
        latents = self.random_latents(output)
        if player == "generator":
            scores = self.discriminator(self.generator(latents, *condition), *condition)
            return {"score": self.adversarial.generator(scores)}
        with torch.no_grad():
            fake = self.generator(latents, *condition)

        def score(pictures: Tensor) -> Tensor:
            return self.discriminator(pictures, *condition)

        scores = score(output)
        terms = self.adversarial.discriminator(scores, score(fake))
        if self.penalty:
            terms["gradient_penalty"] = self.penalty * gradient_penalty(score, output, fake)
        if self.drift:
            terms["drift"] = self.drift * scores.square().mean()
        return terms

    def check_player(self, player: str) -> None:
        """Whether there is a player of that name.

        Raises:
            ValueError: there is none.
        """
        if player not in self.players:
            raise ValueError(f"player must be one of {', '.join(self.players)}, got {player!r}")

    def random_latents(self, like: Tensor) -> Tensor:
        """``[B, Z]``: what the generator makes as many pictures of; torch's random numbers."""
        return torch.randn(len(like), self.generator.latent_size).to(like)
