"""How a face identity transformer learns: against a discriminator and a recogniser."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastcv.models._model import Model
from fastcv.models.generative._identity_judges import KINDS, KindsDiscriminator, PasswordReader
from fastcv.models.generative._image_pool import ImagePool
from fastcv.models.generative.passwords import draw_passwords, groups_of_four
from fastcv.nn.backbones.sphereface import FaceEmbedding, SphereFace20a
from fastcv.nn.losses.adversarial import LeastSquares
from fastcv.nn.losses.angle_loss import angle_loss

if TYPE_CHECKING:
    from fastcv.models.generative.face_identity_transformer import FaceIdentityTransformer

POOL_SIZE = 500


@dataclass(frozen=True)
class IdentityWeights:
    """Of the generator's terms; those of its code, section 3 of the paper names the terms.

    Args:
        gan: to look real, the mean over three kinds; half of it is the discriminator's.
        recognition: to be recognised or not, the mean over three kinds; half is the recogniser's.
        password: that it can be read off, from which password a face was made.
        feature: that two passwords give two people.
        wrong_feature: that two wrong passwords give two people.
        false_reconstruction: that a wrong password gives another person than the anonymised one.
        l1: how near an anonymised face stays to the pixels.
        random_reconstruction: how near one of a wrong password does.
        reconstruction: how near the recovered face comes.
    """

    gan: float = 1.0
    recognition: float = 2.0
    password: float = 1.0
    feature: float = 2.0
    wrong_feature: float = 1.0
    false_reconstruction: float = 1.0
    l1: float = 10.0
    random_reconstruction: float = 10.0
    reconstruction: float = 100.0


class IdentityOutput(NamedTuple):
    """Faces ``[B, 3, H, W]`` in [-1, 1], and passwords ``[B, bits]`` that three were made of."""

    real: Tensor
    anonymised: Tensor
    anonymised_2: Tensor
    """With another password."""
    recovered: Tensor
    """Of ``anonymised``, with the inverse password."""
    wrong: Tensor
    """Of ``anonymised``, with a wrong password."""
    wrong_2: Tensor
    """With another wrong one."""
    password: Tensor
    inverse: Tensor
    wrong_password: Tensor


class FaceIdentityGAN(Model):
    """Three players for ``fastcv.learn.fit`` on faces and who they are: discriminator, recogniser,
    and the generator together with the reader of passwords.

    In each step the generator makes five faces of each: two anonymised ones with two passwords, and
    of the first the recovered one and two of wrong passwords. All players use that one forward.

    Args:
        generator: the transformer.
        recogniser: of the people in the data, trained. It learns on, to know faces in spite of the
            generator: make a copy, where the first is still needed.
        image_size: height and width of the faces, one number for both. The pools are made for it.
        weights: of the terms.
        pool_size: how many faces of each kind the discriminator may see again.
        judge_width: channels of the discriminator's and the reader's first layers.
        judge_layers: of the discriminator, that halve the size; the reader has one more. 3 are for
            64 pixels or more, 2 for 32.

    Raises:
        ValueError: a weight below 0.

    Source: Gu et al., "Password-conditioned Anonymization and Deanonymization with Face Identity
        Transformers" (2020), sections 3.2 to 3.4.

    Example:
        >>> import torch
        >>> from fastcv.models.generative.face_identity_transformer import FaceIdentityTransformer
        >>> from fastcv.nn.backbones.sphereface import SphereFace20a
        >>> recogniser = SphereFace20a(5, image_size=(32, 32), width=4, embedding_size=8)
        >>> system = FaceIdentityTransformer(blocks=1, width=4).gan(
        ...     recogniser, image_size=32, judge_width=4, judge_layers=2, pool_size=4
        ... )
        >>> people, faces = torch.tensor([0, 4]), torch.rand(2, 3, 32, 32)
        >>> output = system(faces)
        >>> list(system.loss(output, people, player="recogniser"))
        ['real', 'anonymised', 'recovered', 'wrong']
        >>> terms = list(system.loss(output, people, player="generator"))
        >>> terms[:6]
        ['gan', 'password', 'recognition', 'feature', 'wrong_feature', 'false_reconstruction']
        >>> terms[6:]
        ['l1', 'random_reconstruction', 'reconstruction']
    """

    shared_forward = True

    def __init__(
        self,
        generator: FaceIdentityTransformer,
        recogniser: SphereFace20a,
        *,
        image_size: int | tuple[int, int] = 128,
        weights: IdentityWeights | None = None,
        pool_size: int = POOL_SIZE,
        judge_width: int = 64,
        judge_layers: int = 3,
    ) -> None:
        super().__init__()
        self.weights = weights or IdentityWeights()
        for name, weight in vars(self.weights).items():
            if weight < 0:
                raise ValueError(f"the weight of {name} must be 0 or more, got {weight}")
        height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
        self.generator, self.recogniser = generator, recogniser
        self.discriminator = KindsDiscriminator(width=judge_width, layers=judge_layers)
        self.reader = PasswordReader(
            generator.password_length, width=judge_width, layers=judge_layers + 1
        )
        self.pools = nn.ModuleDict(
            {kind: ImagePool(pool_size, (3, height, width)) for kind in KINDS}
        )
        self.adversarial = LeastSquares()

    @property
    def players(self) -> dict[str, Any]:
        """In their order; see ``fastcv.learn.fit``."""
        return {
            "discriminator": self.discriminator,
            "recogniser": self.recogniser,
            "generator": [self.generator, self.reader],
        }

    def forward(self, images: Tensor) -> IdentityOutput:
        """Of faces ``[B, 3, H, W]`` in [0, 1], all that is made; passwords are torch's draws."""
        real = images * 2 - 1

        def passwords(*other_than: Tensor) -> Tensor:
            taken = [p.cpu() for p in other_than]
            drawn = draw_passwords(len(images), self.generator.password_length, other_than=taken)
            return drawn.to(images.device)

        password = passwords()
        inverse, other = 1 - password, passwords(password)
        wrong_password = passwords(inverse)
        anonymised = self.generator(real, password)
        return IdentityOutput(
            real=real,
            anonymised=anonymised,
            anonymised_2=self.generator(real, other),
            recovered=self.generator(anonymised, inverse),
            wrong=self.generator(anonymised, wrong_password),
            wrong_2=self.generator(anonymised, passwords(inverse, wrong_password)),
            password=password,
            inverse=inverse,
            wrong_password=wrong_password,
        )

    def loss(self, output: IdentityOutput, targets: Tensor, *, player: str) -> dict[str, Tensor]:
        """The terms of one player.

        Args:
            output: of ``forward``.
            targets: who each face is of, labels ``[B]`` int64.
            player: ``"discriminator"``, ``"recogniser"`` or ``"generator"``.

        Raises:
            TypeError: targets that are no tensor.
            ValueError: targets of another shape or that the recogniser does not know, or another
                player.
        """
        if player not in self.players:
            raise ValueError(f"player must be one of {', '.join(self.players)}, got {player!r}")
        if player == "discriminator":
            return self._discriminator_terms(output)
        if player == "recogniser":
            return self._recogniser_terms(output, targets)
        return self._generator_terms(output, targets)

    def _discriminator_terms(self, output: IdentityOutput) -> dict[str, Tensor]:
        both = {"anonymised": output.anonymised_2, "wrong": output.wrong_2}
        share = self.weights.gan / 2 / len(KINDS)
        terms = {}
        for kind in KINDS:
            made = [getattr(output, kind), *([both[kind]] if kind in both else [])]
            again = self.pools[kind](torch.cat(made))
            real_scores = self.discriminator(output.real, kind)
            fake_scores = self.discriminator(again, kind)
            found = [
                self.adversarial.discriminator(real, fake)
                for real, fake in zip(real_scores, fake_scores, strict=True)
            ]
            for name in ("real", "fake"):
                terms[f"{name}_{kind}"] = share * torch.stack([f[name] for f in found]).sum()
        return terms

    def _recogniser_terms(self, output: IdentityOutput, people: Tensor) -> dict[str, Tensor]:
        """It learns real faces, and to know the anonymised ones; recovered ones it unlearns."""
        weight = self.weights.recognition / 2
        terms = {"real": weight * self._angle(self._recognise(output.real), people)}
        for kind, sign in zip(KINDS, (1, -1, 1), strict=True):
            seen = self._recognise(getattr(output, kind).detach())
            terms[kind] = sign * weight / len(KINDS) * self._angle(seen, people)
        return terms

    def _generator_terms(self, output: IdentityOutput, people: Tensor) -> dict[str, Tensor]:
        weights, (real, anonymised) = self.weights, output[:2]
        scores = [s for kind in KINDS for s in self.discriminator(getattr(output, kind), kind)]
        looks = torch.stack([self.adversarial.generator(s) for s in scores]).sum() / len(KINDS)
        seen = {
            name: self._recognise(getattr(output, name))
            for name in ("anonymised", "anonymised_2", "recovered", "wrong", "wrong_2")
        }
        known = torch.stack(
            [
                sign * self._angle(seen[kind], people)
                for kind, sign in zip(KINDS, (-1, 1, -1), strict=True)
            ]
        )
        read = (
            self._misread(real, anonymised, output.password)
            + self._misread(anonymised, output.recovered, output.inverse)
            + self._misread(anonymised, output.wrong, output.wrong_password)
        )
        return {
            "gan": weights.gan * looks,
            "password": weights.password * read,
            "recognition": weights.recognition * known.mean(),
            "feature": weights.feature * alike(seen["anonymised"], seen["anonymised_2"]),
            "wrong_feature": weights.wrong_feature * alike(seen["wrong"], seen["wrong_2"]),
            "false_reconstruction": weights.false_reconstruction
            * alike(seen["anonymised"], seen["wrong"]),
            "l1": weights.l1 * (anonymised - real).abs().mean(),
            "random_reconstruction": weights.random_reconstruction
            * (output.wrong - real).abs().mean(),
            "reconstruction": weights.reconstruction * (output.recovered - real).abs().mean(),
        }

    def _recognise(self, faces: Tensor) -> FaceEmbedding:
        seen: FaceEmbedding = self.recogniser((faces + 1) / 2)
        return seen

    @staticmethod
    def _angle(seen: FaceEmbedding, people: Tensor) -> Tensor:
        return angle_loss(seen.cosines, seen.norms, people)

    def _misread(self, before: Tensor, after: Tensor, password: Tensor) -> Tensor:
        """The cross-entropy of the reader's groups of four bits, summed over groups."""
        logits = self.reader(torch.cat([before, after], dim=1))
        groups = groups_of_four(password)
        return F.cross_entropy(logits.flatten(0, 1), groups.flatten()) * groups.shape[1]


def alike(a: FaceEmbedding, b: FaceEmbedding) -> Tensor:
    """The mean cosine of two lists of embeddings; those at right angles or more cost nothing.

    Example:
        >>> import torch
        >>> from fastcv.nn.backbones.sphereface import FaceEmbedding
        >>> a = FaceEmbedding(torch.tensor([[2.0, 0], [1, 0]]), torch.empty(2, 0))
        >>> b = FaceEmbedding(torch.tensor([[3.0, 0], [-1, 0]]), torch.empty(2, 0))
        >>> alike(a, b)
        tensor(0.5000)
    """
    return F.cosine_similarity(a.embeddings, b.embeddings).clamp(min=0).mean()
