"""Every loss by its formula, and that the best discriminator is the one the papers prove."""

import math

import numpy as np
import pytest
import torch

from fastcv.nn.losses.adversarial import (
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    Wasserstein,
    gradient_penalty,
)

FAMILY = [
    Minimax(),
    NonSaturating(),
    LeastSquares(),
    LeastSquares(-1, 1, 0),
    Hinge(),
    Wasserstein(),
]
every_loss = pytest.mark.parametrize("loss", FAMILY, ids=lambda loss: type(loss).__name__)
# How often data and samples are at each of four places, of 20 each; p and q are shares of them.
DATA, SAMPLES = torch.tensor([10, 6, 3, 1]), torch.tensor([2, 6, 3, 9])
P, Q = DATA.double() / 20, SAMPLES.double() / 20
# Places, too, where one of both never is: there a logit would be infinite.
ALONE_DATA, ALONE_SAMPLES = torch.tensor([10, 6, 4, 0]), torch.tensor([4, 6, 0, 10])


def value(loss, scores, data=DATA, samples=SAMPLES):
    """The discriminator's loss where the places have these scores."""
    real, fake = (np.repeat(np.arange(4), counts.numpy()) for counts in (data, samples))
    return sum(loss.discriminator(scores.double()[real], scores.double()[fake]).values())


def slope(loss, scores, data=DATA, samples=SAMPLES):
    """The gradient of that."""
    scores = scores.double().requires_grad_()
    return torch.autograd.grad(value(loss, scores, data, samples), scores)[0]


def assert_best(loss, scores, data=DATA, samples=SAMPLES):
    """No other scores have a smaller loss. Each loss is convex, so the near ones tell of all."""
    best = float(value(loss, scores, data, samples))
    rng = torch.Generator().manual_seed(0)
    for size in (1e-3, 0.1, 3):
        for _ in range(20):
            other = scores + size * torch.randn(len(data), generator=rng, dtype=torch.float64)
            assert value(loss, other, data, samples) > best - 1e-12
    return best


@pytest.mark.parametrize("loss", [Minimax(), NonSaturating()])
def test_the_best_logits_are_the_share_of_the_data(loss):
    scores = (P / (P + Q)).logit()
    best = assert_best(loss, scores)
    torch.testing.assert_close(slope(loss, scores), torch.zeros(4).double())
    # The paper's theorem 1: V(D*) = -log 4 + 2 JSD(p, q), and the loss is -V.
    middle = (P + Q) / 2
    divergence = ((P * (P / middle).log()).sum() + (Q * (Q / middle).log()).sum()) / 2
    assert -best == pytest.approx(-math.log(4) + 2 * float(divergence), abs=1e-12)
    # Where nothing tells them apart.
    assert -assert_best(loss, torch.zeros(4), DATA, DATA) == pytest.approx(-math.log(4), abs=1e-12)


@pytest.mark.parametrize("labels", [(0.0, 1.0, 1.0), (-1.0, 1.0, 0.0), (0.25, 0.5, 2.0)])
def test_the_best_of_least_squares(labels):
    a, b, _ = labels
    loss = LeastSquares(*labels)
    for data, samples in ((DATA, SAMPLES), (ALONE_DATA, ALONE_SAMPLES)):
        scores = ((b * data + a * samples) / (data + samples)).double()
        assert_best(loss, scores, data, samples)
        flat = torch.zeros(4).double()
        torch.testing.assert_close(slope(loss, scores, data, samples), flat, atol=1e-6, rtol=0)
    best = assert_best(loss, torch.full((4,), (a + b) / 2), DATA, DATA)
    assert best == pytest.approx((b - a) ** 2 / 2)


def test_the_best_of_the_hinge():
    for data, samples in ((DATA, SAMPLES), (ALONE_DATA, ALONE_SAMPLES)):
        signs = (data - samples).sign()
        best = assert_best(Hinge(), signs, data, samples)
        # The sign and nothing less: a place where they differ, a little nearer to 0, costs more.
        for place in signs.nonzero().flatten():
            nearer = signs.double().clone()
            nearer[place] *= 0.9
            assert value(Hinge(), nearer, data, samples) > best + 1e-3
    assert assert_best(Hinge(), torch.zeros(4), DATA, DATA) == pytest.approx(2)


def test_the_best_critic_of_slope_1_tells_the_distance():
    """On a line, data at 3 and samples at 1: the distance is 2, and a slope of 1 finds it."""
    real, fake = torch.full((8, 1), 3.0), torch.full((8, 1), 1.0)
    slope = torch.zeros((), requires_grad=True)

    def critic(x):
        return slope * x

    optimizer = torch.optim.SGD([slope], lr=0.02)
    for _ in range(100):
        optimizer.zero_grad()
        terms = Wasserstein().discriminator(critic(real), critic(fake))
        (terms["distance"] + 10 * gradient_penalty(critic, real, fake)).backward()
        optimizer.step()
    # The minimum of -2s + 10 (s - 1)^2.
    assert float(slope.detach()) == pytest.approx(1.1, abs=1e-4)


def test_formulas_by_hand():
    rng = np.random.default_rng(0)
    real, fake = rng.normal(size=7), rng.normal(size=5)

    def d(x):
        return 1 / (1 + np.exp(-x))

    by_hand = {
        Minimax: (-np.log(d(real)).mean(), -np.log(1 - d(fake)).mean(), np.log(1 - d(fake)).mean()),
        NonSaturating: (
            -np.log(d(real)).mean(), -np.log(1 - d(fake)).mean(), -np.log(d(fake)).mean()
        ),
        LeastSquares: (((real - 1) ** 2).mean(), (fake**2).mean(), ((fake - 1) ** 2).mean()),
        Hinge: (np.maximum(0, 1 - real).mean(), np.maximum(0, 1 + fake).mean(), -fake.mean()),
    }  # fmt: skip
    for kind, (of_real, of_fake, of_generator) in by_hand.items():
        terms = kind().discriminator(torch.from_numpy(real), torch.from_numpy(fake))
        assert list(terms) == ["real", "fake"]
        assert float(terms["real"]) == pytest.approx(of_real)
        assert float(terms["fake"]) == pytest.approx(of_fake)
        assert float(kind().generator(torch.from_numpy(fake))) == pytest.approx(of_generator)
    terms = Wasserstein().discriminator(torch.from_numpy(real), torch.from_numpy(fake))
    assert float(terms.pop("distance")) == pytest.approx(fake.mean() - real.mean()) and not terms
    assert float(Wasserstein().generator(torch.from_numpy(fake))) == pytest.approx(-fake.mean())


def test_where_minimax_saturates():
    """A discriminator that is sure leaves Minimax no gradient, and NonSaturating one of 1."""
    slopes = {}
    for loss in (Minimax(), NonSaturating()):
        score = torch.tensor(-20.0, requires_grad=True)
        loss.generator(score).backward()
        slopes[type(loss)] = float(score.grad)
    assert abs(slopes[Minimax]) < 1e-8 and slopes[NonSaturating] == pytest.approx(-1)


@every_loss
def test_the_generator_wants_higher_scores(loss):
    score = torch.tensor([-0.5, -0.1], requires_grad=True)
    loss.generator(score).backward()
    assert (score.grad < 0).all()


@every_loss
def test_maps_of_scores_and_extreme_ones(loss):
    torch.manual_seed(0)
    real, fake = torch.randn(2, 1, 6, 7), torch.randn(2, 1, 6, 7)
    for name, term in loss.discriminator(real, fake).items():
        flat = loss.discriminator(real.flatten(), fake.flatten())[name]
        assert term.ndim == 0
        torch.testing.assert_close(term, flat)
    for scores in (torch.full((3,), 1e4), torch.full((3,), -1e4)):
        scores.requires_grad_()
        total = sum(loss.discriminator(scores, scores).values()) + loss.generator(scores)
        total.backward()
        assert total.isfinite() and scores.grad.isfinite().all()


@every_loss
def test_what_is_no_tensor(loss):
    for wrong in (None, 1.0, [1.0], np.zeros(2)):
        with pytest.raises(TypeError, match="fake must be a tensor, got "):
            loss.generator(wrong)
        with pytest.raises(TypeError, match="real must be a tensor, got "):
            loss.discriminator(wrong, torch.zeros(2))
    with pytest.raises(TypeError, match="real must be a tensor, got list"):
        gradient_penalty(torch.sum, [1.0], torch.zeros(1))


@pytest.mark.parametrize("shape", [(6, 2), (6, 3, 4, 4), (6,)])
def test_the_penalty_by_hand(shape):
    torch.manual_seed(1)
    real, fake = torch.randn(shape), torch.randn(shape, requires_grad=True)
    weight = torch.tensor(1.5, requires_grad=True)
    torch.manual_seed(2)
    penalty = gradient_penalty(
        lambda x: weight * x.square().flatten(1).sum(1) / 2 if x.ndim > 1 else weight * x**2 / 2,
        real,
        fake,
    )
    torch.manual_seed(2)
    share = torch.rand(6, *[1] * (len(shape) - 1))
    between = (share * real + (1 - share) * fake.detach()).reshape(6, -1)
    norm = 1.5 * between.square().sum(dim=1).sqrt()
    torch.testing.assert_close(penalty, (norm - 1).square().mean())
    penalty.backward()
    torch.testing.assert_close(weight.grad, (2 * (norm - 1) * norm / 1.5).mean())
    assert fake.grad is None


def test_the_penalty_of_other_shapes():
    with pytest.raises(ValueError, match=r"the same shape, got \[2, 3\] and \[2, 4\]"):
        gradient_penalty(torch.sum, torch.rand(2, 3), torch.rand(2, 4))
