"""CycleGAN: two generators learn to translate there and back, from pictures without pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn

from fastcv.models._model import Model
from fastcv.models.generative._image_pool import ImagePool
from fastcv.models.generative._translator import ImageTranslator
from fastcv.nn.losses.adversarial import LeastSquares

CYCLE_WEIGHT = 10.0  # the paper's lambda: Zhu et al. (2017), section 4
IDENTITY_WEIGHT = 0.5  # times that: section 5.2
POOL_SIZE = 50  # section 4


class CycleGANOutput(NamedTuple):
    """Pictures of both kinds and what was made of them, ``[B, C, H, W]`` in [-1, 1]."""

    a: Tensor
    b: Tensor
    made_b: Tensor
    """Of a, by ``generator_a``."""
    again_a: Tensor
    """Of ``made_b``, by ``generator_b``: the cycle."""
    made_a: Tensor
    again_b: Tensor


class CycleGAN(Model):
    """Two players for ``fastcv.learn.fit`` on ``UnpairedFolders``: both generators, then both
    discriminators.

    Names are those of junyanz/pytorch-CycleGAN-and-pix2pix: ``generator_a`` makes b of a, and
    **``discriminator_a`` judges b**, what ``generator_a`` makes. All of a step use one forward of
    the generators.

    Args:
        generator_a: from pictures a to b, both in [-1, 1].
        generator_b: from b to a.
        discriminator_a: from pictures b to scores.
        discriminator_b: from pictures a to scores.
        image_size: height and width of the pictures that it learns from, one number for both. The
            pools are made for it.
        cycle_weight: of the mean distance of a picture to itself after there and back.
        identity_weight: times ``cycle_weight``: of the distance of b to what ``generator_a`` makes
            of it, which should be b. 0 leaves the term out.
        pool_size: how many pictures of a generator its discriminator may see again.

    Raises:
        ValueError: a weight below 0.

    Source: Zhu et al., "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial
        Networks" (2017), equations 1 to 3, with least squares (section 4).

    Example:
        >>> import torch
        >>> from fastcv.models.generative.resnet_generator import ResNetGenerator
        >>> system = ResNetGenerator(1, width=4).gan(image_size=32, pool_size=2)
        >>> output = system(torch.rand(2, 1, 3, 32, 32))
        >>> list(system.loss(output, None, player="generators"))
        ['adversarial_a', 'adversarial_b', 'cycle_a', 'cycle_b', 'identity_a', 'identity_b']
        >>> list(system.loss(output, None, player="discriminators"))
        ['real_a', 'fake_a', 'real_b', 'fake_b']
    """

    shared_forward = True

    def __init__(
        self,
        generator_a: ImageTranslator,
        generator_b: ImageTranslator,
        discriminator_a: nn.Module,
        discriminator_b: nn.Module,
        *,
        image_size: int | tuple[int, int] = 256,
        cycle_weight: float = CYCLE_WEIGHT,
        identity_weight: float = IDENTITY_WEIGHT,
        pool_size: int = POOL_SIZE,
    ) -> None:
        super().__init__()
        for name, weight in (("cycle", cycle_weight), ("identity", identity_weight)):
            if weight < 0:
                raise ValueError(f"{name}_weight must be 0 or more, got {weight}")
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        self.generator_a, self.generator_b = generator_a, generator_b
        self.discriminator_a, self.discriminator_b = discriminator_a, discriminator_b
        self.pool_a = ImagePool(pool_size, (generator_a.in_channels, height, width))
        self.pool_b = ImagePool(pool_size, (generator_b.in_channels, height, width))
        self.cycle_weight, self.identity_weight = cycle_weight, identity_weight
        self.adversarial = LeastSquares()

    @property
    def players(self) -> dict[str, Any]:
        """The generators, then the discriminators; see ``fastcv.learn.fit``."""
        return {
            "generators": [self.generator_a, self.generator_b],
            "discriminators": [self.discriminator_a, self.discriminator_b],
        }

    def forward(self, images: Sequence[Tensor]) -> CycleGANOutput:
        """Of pictures of both kinds ``(a, b)``, each ``[B, C, H, W]`` in [0, 1], all that is made.

        Raises:
            TypeError: something else, such as one tensor.
        """
        if len(images) != 2 or not all(isinstance(x, Tensor) and x.ndim == 4 for x in images):
            raise TypeError(
                "images must be a pair (a, b) of batches [B, C, H, W], as UnpairedFolders makes "
                "them; of other data fit's collate_fn=fastcv.data.pair_of_batches does"
            )
        a, b = (pictures * 2 - 1 for pictures in images)
        made_b = self.generator_a(a)
        again_a = self.generator_b(made_b)
        made_a = self.generator_b(b)
        again_b = self.generator_a(made_a)
        return CycleGANOutput(a, b, made_b, again_a, made_a, again_b)

    def loss(self, output: CycleGANOutput, targets: Any, *, player: str) -> dict[str, Tensor]:
        """The terms of one player.

        Args:
            output: of ``forward``.
            targets: are not used: nobody says what a picture becomes.
            player: ``"generators"`` or ``"discriminators"``.

        Raises:
            ValueError: another player.
        """
        if player not in self.players:
            raise ValueError(f"player must be one of {', '.join(self.players)}, got {player!r}")
        if player == "generators":
            return self._generators_terms(output)
        terms: dict[str, Tensor] = {}
        for name, judge, real, made in (
            ("a", self.discriminator_a, output.b, self.pool_b(output.made_b)),
            ("b", self.discriminator_b, output.a, self.pool_a(output.made_a)),
        ):
            found = self.adversarial.discriminator(judge(real), judge(made))
            terms |= {f"{key}_{name}": term / 2 for key, term in found.items()}
        return terms

    def _generators_terms(self, output: CycleGANOutput) -> dict[str, Tensor]:
        adversarial = self.adversarial.generator
        terms = {
            "adversarial_a": adversarial(self.discriminator_a(output.made_b)),
            "adversarial_b": adversarial(self.discriminator_b(output.made_a)),
        }
        if self.cycle_weight:
            terms["cycle_a"] = self.cycle_weight * (output.again_a - output.a).abs().mean()
            terms["cycle_b"] = self.cycle_weight * (output.again_b - output.b).abs().mean()
        if weight := self.cycle_weight * self.identity_weight:
            terms["identity_a"] = weight * (self.generator_a(output.b) - output.b).abs().mean()
            terms["identity_b"] = weight * (self.generator_b(output.a) - output.a).abs().mean()
        return terms
