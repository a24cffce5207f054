"""SphereFace's loss: closed forms, gradients, and how it becomes harder."""

import math

import pytest
import torch

from fastcv.nn.losses.angle_loss import AngleLoss, angle_loss, psi


def by_definition(angle, margin):
    k = min(int(margin * angle / math.pi), margin - 1)
    return (-1) ** k * math.cos(margin * angle) - 2 * k


@pytest.mark.parametrize("margin", [1, 2, 3, 4, 5])
def test_psi_by_its_definition(margin):
    angles = torch.linspace(0, math.pi, 997, dtype=torch.double)
    found = psi(angles.cos(), margin)
    expected = torch.tensor([by_definition(a, margin) for a in angles.tolist()]).double()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert (found.diff() < 1e-9).all()  # it falls all the way, without a step
    assert found.diff().abs().max() < 0.05
    torch.testing.assert_close(found[-1].item(), 1.0 - 2 * margin)


@pytest.mark.parametrize("softness", [0.0, 5.0, 1500.0])
def test_a_loss_by_hand(softness):
    """Two faces of three people; cross-entropies written out, psi of 60 and 100 degrees."""
    cosines = torch.tensor([[0.5, -0.2, 0.7], [0.1, 0.3, math.cos(math.radians(100))]])
    norms, labels = torch.tensor([2.0, 3.0]), torch.tensor([0, 2])
    own = [-math.cos(math.radians(240)) - 2, math.cos(math.radians(400)) - 4]
    total = 0.0
    for row, (norm, label) in enumerate(zip(norms.tolist(), labels.tolist(), strict=True)):
        logits = [norm * c for c in cosines[row].tolist()]
        logits[label] = (norm * own[row] + softness * logits[label]) / (1 + softness)
        total += math.log(sum(math.exp(x) for x in logits)) - logits[label]
    found = angle_loss(cosines, norms, labels, softness=softness)
    assert found.item() == pytest.approx(total / 2, rel=1e-5)


def test_a_margin_of_one_is_cross_entropy():
    cosines, norms = torch.rand(5, 7) * 2 - 1, torch.rand(5) * 4
    labels = torch.randint(7, (5,))
    expected = torch.nn.functional.cross_entropy(norms[:, None] * cosines, labels)
    torch.testing.assert_close(angle_loss(cosines, norms, labels, margin=1), expected)


def test_gradients():
    cosines = (torch.rand(4, 3).double() * 1.8 - 0.9).requires_grad_()
    norms = (torch.rand(4).double() + 0.5).requires_grad_()
    labels = torch.tensor([0, 1, 2, 0])
    assert torch.autograd.gradcheck(lambda c, n: angle_loss(c, n, labels), (cosines, norms))
    ends = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], requires_grad=True)  # where acos has none
    angle_loss(ends, torch.ones(2), torch.tensor([0, 0])).backward()
    assert ends.grad.isfinite().all() and ends.grad[:, 0].all()


def test_it_becomes_harder():
    loss = AngleLoss()
    cosines, norms, labels = torch.tensor([[0.5, 0.4]]), torch.ones(1), torch.tensor([0])
    values = [loss(cosines, norms, labels).item() for _ in range(50)]
    assert loss.steps == 50 and loss.softness().item() == pytest.approx(1500 / 6)
    assert values == sorted(values) and values[-1] > values[0]
    loss.eval()(cosines, norms, labels)
    assert loss.steps == 50  # looking does not count
    loss.steps.fill_(10**6)
    assert loss.softness() == 5
    assert "steps" in loss.state_dict()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"cosines": torch.rand(3)}, r"cosines must be \[B, classes\] and norms \[B\], got \[3\]"),
        ({"norms": torch.rand(4)}, r"got \[3, 2\] and \[4\]"),
        ({"labels": torch.zeros(3)}, r"labels must be int64 \[3\], got torch.float32 \[3\]"),
        ({"labels": torch.tensor([0, 2, 1])}, r"labels must be 0 to 1, got \[0, 2, 1\]"),
        ({"margin": 0}, "margin must be 1 or more, got 0"),
    ],
)
def test_wrong_arguments(change, sentence):
    arguments = {
        "cosines": torch.rand(3, 2),
        "norms": torch.rand(3),
        "labels": torch.zeros(3).long(),
    }
    with pytest.raises(ValueError, match=sentence):
        angle_loss(**{**arguments, **change})
