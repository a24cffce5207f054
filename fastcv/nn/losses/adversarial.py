"""Adversarial losses: what a discriminator and a generator want of the discriminator's scores.

A score is a number without bounds, high for what looks real. Scores may have any shape, such as
``[B]`` or a map for each picture; every term is a mean over all of them.

At the optimum, of data with density p and samples with density q, each D* is known:

=================  ==================  =====================================
loss               D* of a place       the discriminator's loss there
=================  ==================  =====================================
``Minimax``        p / (p + q)         log 4 where p = q
``NonSaturating``  the same            the same
``LeastSquares``   (bp + aq) / (p+q)   (b - a)^2 / 2 where p = q
``Hinge``          sign(p - q)         2 where p = q
``Wasserstein``    any slope up to 1   minus the distance of p and q
=================  ==================  =====================================
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from fastcv.nn.losses._tensors import check_tensor


class AdversarialLoss(ABC):
    """The terms of both players; both are minimised.

    Example:
        >>> import torch
        >>> from fastcv.nn.losses.adversarial import Hinge, LeastSquares, NonSaturating
        >>> real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 0.0])
        >>> Hinge().discriminator(real, fake)
        {'real': tensor(0.2500), 'fake': tensor(0.5000)}
        >>> LeastSquares().generator(fake)
        tensor(8.5000)
        >>> NonSaturating().generator(torch.zeros(2, 1, 30, 30))
        tensor(0.6931)
    """

    @abstractmethod
    def discriminator(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        """The discriminator's terms, each a scalar.

        Args:
            real: its scores of real data.
            fake: its scores of what the generator made.
        """

    @abstractmethod
    def generator(self, fake: Tensor) -> Tensor:
        """The generator's loss, a scalar, of the scores of what it made."""


class Minimax(AdversarialLoss):
    """Cross-entropy of real and fake; the generator wants what the discriminator does not.

    A score is a logit: D(x) = sigmoid(score). Where the discriminator is sure, the generator's
    gradient vanishes: ``NonSaturating`` mends that.

    Source: Goodfellow et al., "Generative Adversarial Nets" (2014), equation 1; the optimum:
        section 4.1.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        _check(real=real, fake=fake)
        return {"real": F.softplus(-real).mean(), "fake": F.softplus(fake).mean()}

    def generator(self, fake: Tensor) -> Tensor:
        _check(fake=fake)
        return -F.softplus(fake).mean()


class NonSaturating(Minimax):
    """``Minimax`` for the discriminator; the generator wants its samples to be called real.

    Source: Goodfellow et al. (2014), section 3.
    """

    def generator(self, fake: Tensor) -> Tensor:
        _check(fake=fake)
        return F.softplus(-fake).mean()


@dataclass(frozen=True)
class LeastSquares(AdversarialLoss):
    """Squares of the distance to a label for real and one for fake. The paper halves each term.

    Args:
        fake_label: the paper's a.
        real_label: its b.
        wanted_label: its c, what the generator wants its samples to score.

    Source: Mao et al., "Least Squares Generative Adversarial Networks" (2017), equation 2; the
        optimum: equation 5.
    """

    fake_label: float = 0.0
    real_label: float = 1.0
    wanted_label: float = 1.0

    def discriminator(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        _check(real=real, fake=fake)
        return {
            "real": (real - self.real_label).square().mean(),
            "fake": (fake - self.fake_label).square().mean(),
        }

    def generator(self, fake: Tensor) -> Tensor:
        _check(fake=fake)
        return (fake - self.wanted_label).square().mean()


class Hinge(AdversarialLoss):
    """Real scores are to be above 1 and fake ones below -1; what is beyond costs nothing.

    Source: Lim and Ye, "Geometric GAN" (2017), section 4; Miyato et al., "Spectral Normalization
        for Generative Adversarial Networks" (2018), equation 17.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        _check(real=real, fake=fake)
        return {"real": F.relu(1 - real).mean(), "fake": F.relu(1 + fake).mean()}

    def generator(self, fake: Tensor) -> Tensor:
        _check(fake=fake)
        return -fake.mean()


class Wasserstein(AdversarialLoss):
    """The difference of mean scores, which are without meaning alone: add ``gradient_penalty``.

    Source: Arjovsky et al., "Wasserstein GAN" (2017), equation 3.
    """

    def discriminator(self, real: Tensor, fake: Tensor) -> dict[str, Tensor]:
        _check(real=real, fake=fake)
        return {"distance": fake.mean() - real.mean()}

    def generator(self, fake: Tensor) -> Tensor:
        _check(fake=fake)
        return -fake.mean()


def gradient_penalty(
    discriminator: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor
) -> Tensor:
    """The mean square of how far the score's slope is from 1, at places between real and fake.

    The paper weighs it by 10, trains the critic five times as often as the generator, and has no
    batch norm in the critic: a score must depend on its own picture alone. The places are torch's
    random numbers.

    Args:
        discriminator: from inputs ``[B, ...]`` to scores. Of a conditional one a closure with the
            conditions in it, in the order of ``real``.
        real: ``[B, ...]``.
        fake: of the same shape.

    Returns:
        A scalar. Its gradient reaches the discriminator, and not ``real`` or ``fake``.

    Raises:
        TypeError: ``real`` or ``fake`` is no tensor.
        ValueError: they differ in shape.

    Source: Gulrajani et al., "Improved Training of Wasserstein GANs" (2017), equation 3.

    Example:
        >>> import torch
        >>> from fastcv.nn.losses.adversarial import gradient_penalty
        >>> steep = lambda x: 3 * x.sum(dim=1)  # of two numbers: a slope of 3 * sqrt(2)
        >>> gradient_penalty(steep, torch.rand(4, 2), torch.rand(4, 2))
        tensor(10.5147)
    """
    _check(real=real, fake=fake)
    if real.shape != fake.shape:
        shapes = f"{list(real.shape)} and {list(fake.shape)}"
        raise ValueError(f"real and fake must have the same shape, got {shapes}")
    share = torch.rand(len(real), *[1] * (real.ndim - 1)).to(real)
    between = torch.lerp(fake.detach(), real.detach(), share).requires_grad_()
    score = discriminator(between).sum()
    (gradient,) = torch.autograd.grad(score, between, create_graph=True)
    return (gradient.reshape(len(real), -1).norm(dim=1) - 1).square().mean()


def _check(**scores: Tensor) -> None:
    for name, value in scores.items():
        check_tensor(name, value)
