"""pix2pix: a generator learns from pairs, and from a discriminator that sees both of a pair."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from fastcv.models._model import Model
from fastcv.models.generative._pairs import check_pictures
from fastcv.models.generative._translator import ImageTranslator
from fastcv.nn.losses.adversarial import NonSaturating

L1_WEIGHT = 100.0  # Isola et al. (2017), section 3.3


class Pix2PixOutput(NamedTuple):
    """Inputs ``[B, C, H, W]`` and what the generator made of them, ``[B, K, H, W]``; in [-1, 1]."""

    inputs: Tensor
    made: Tensor


class Pix2Pix(Model):
    """Two players for ``fastcv.learn.fit`` on pairs ``(input, truth)``, as ``PairedFolder`` has
    them.

    The discriminator goes first. It scores an input together with its truth, or with what the
    generator made of it. The generator wants high scores, and to be near the truth. Both use one
    forward of the generator.

    Args:
        generator: from inputs ``[B, C, H, W]`` to pictures ``[B, K, H, W]``, both in [-1, 1].
        discriminator: from both together, ``[B, C + K, H, W]``, to logits.
        l1_weight: of the mean distance to the truth; 0 leaves the term out.
        adversarial_weight: of the generator's adversarial term; 0 leaves the discriminator out.

    Raises:
        ValueError: a weight below 0, or both are 0.

    Source: Isola et al., "Image-to-Image Translation with Conditional Adversarial Networks" (2017),
        equation 4. The discriminator's loss is halved, as section 3.3 says.

    Example:
        >>> import torch
        >>> from fastcv.models.generative.unet_generator import UNetGenerator
        >>> system = UNetGenerator(5, width=4).gan()
        >>> drawn, truth = torch.rand(2, 1, 3, 32, 32)
        >>> output = system(drawn)
        >>> list(system.loss(output, truth, player="discriminator"))
        ['real', 'fake']
        >>> list(system.loss(output, truth, player="generator"))
        ['adversarial', 'l1']
    """

    shared_forward = True

    def __init__(
        self,
        generator: ImageTranslator,
        discriminator: nn.Module,
        *,
        l1_weight: float = L1_WEIGHT,
        adversarial_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if min(l1_weight, adversarial_weight) < 0 or l1_weight == adversarial_weight == 0:
            raise ValueError(
                "l1_weight and adversarial_weight must be 0 or more, and one above 0, got "
                f"{l1_weight} and {adversarial_weight}"
            )
        self.generator, self.discriminator = generator, discriminator
        self.l1_weight, self.adversarial_weight = l1_weight, adversarial_weight
        self.adversarial = NonSaturating()

    @property
    def players(self) -> dict[str, nn.Module]:
        """The discriminator, then the generator; see ``fastcv.learn.fit``."""
        if not self.adversarial_weight:
            return {"generator": self.generator}
        return {"discriminator": self.discriminator, "generator": self.generator}

    def forward(self, images: Tensor) -> Pix2PixOutput:
        """Inputs ``[B, C, H, W]`` in [0, 1], and what the generator makes of them."""
        inputs = images * 2 - 1
        return Pix2PixOutput(inputs, self.generator(inputs))

    def loss(self, output: Pix2PixOutput, targets: Tensor, *, player: str) -> dict[str, Tensor]:
        """The terms of one player.

        Args:
            output: of ``forward``.
            targets: the truth ``[B, K, H, W]`` in [0, 1].
            player: ``"discriminator"`` or ``"generator"``.

        Raises:
            TypeError: targets that are no tensor.
            ValueError: targets of another shape than what was made, or another player.
        """
        if player not in self.players:
            raise ValueError(f"player must be one of {', '.join(self.players)}, got {player!r}")
        inputs, made = output
        check_pictures("targets", targets, made.shape)
        truth = targets * 2 - 1
        if player == "discriminator":
            fake = self.discriminator(torch.cat([inputs, made.detach()], dim=1))
            real = self.discriminator(torch.cat([inputs, truth], dim=1))
            terms = self.adversarial.discriminator(real, fake)
            return {name: term / 2 for name, term in terms.items()}
        terms = {}
        if self.adversarial_weight:
            scores = self.discriminator(torch.cat([inputs, made], dim=1))
            terms["adversarial"] = self.adversarial_weight * self.adversarial.generator(scores)
        if self.l1_weight:
            terms["l1"] = self.l1_weight * (truth - made).abs().mean()
        return terms
