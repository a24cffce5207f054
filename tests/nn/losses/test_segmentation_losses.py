"""Losses of a class for each pixel, from their formulas."""

import math

import pytest
import torch

from fastcv.nn.losses.segmentation_losses import dice_loss, pixel_cross_entropy, pixel_focal_loss

LOSSES = [pixel_cross_entropy, pixel_focal_loss, dice_loss]


def random_case(classes=3, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, classes, 3, 4, generator=generator, dtype=dtype)
    targets = torch.randint(classes, (2, 3, 4), generator=generator)
    targets[0, 0, :3] = 255
    return logits, targets


def slow(loss, logits, targets):
    """Pixel by pixel, from the definitions."""
    total, count = 0.0, 0
    sums = [[0.0, 0.0, 0] for _ in range(logits.shape[1])]  # p g, p^2, g of each class
    for b, y, x in torch.cartesian_prod(*map(torch.arange, targets.shape)).tolist():
        label = int(targets[b, y, x])
        if label == 255:
            continue
        exps = [math.exp(z) for z in logits[b, :, y, x].tolist()]
        p = [e / sum(exps) for e in exps]
        weight = (1 - p[label]) ** 2 if loss is pixel_focal_loss else 1
        total -= weight * math.log(p[label])
        count += 1
        for c, of_class in enumerate(sums):
            g = int(c == label)
            sums[c] = [of_class[0] + p[c] * g, of_class[1] + p[c] ** 2, of_class[2] + g]
    if loss is not dice_loss:
        return total / count
    losses = [1 - 2 * pg / (pp + g) for pg, pp, g in sums if g]
    return sum(losses) / len(losses)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("classes", [1, 3, 40])  # of 40, not all occur
def test_from_the_definition(loss, classes):
    logits, targets = random_case(classes)
    assert loss(logits, targets).item() == pytest.approx(slow(loss, logits, targets), rel=1e-9)


@pytest.mark.parametrize("loss", LOSSES)
def test_gradients(loss):
    logits, targets = random_case()
    assert torch.autograd.gradcheck(lambda x: loss(x, targets), logits.requires_grad_())
    loss(logits, targets).backward()
    assert (logits.grad[0, :, 0, :3] == 0).all()  # pixels that do not count
    assert logits.grad[1].abs().min() > 0


@pytest.mark.parametrize("loss", LOSSES)
def test_where_no_pixel_counts(loss):
    logits = torch.randn(2, 3, 4, 5, requires_grad=True)
    value = loss(logits, torch.full((2, 4, 5), 255))
    value.backward()
    assert value == 0 and (logits.grad == 0).all()


@pytest.mark.parametrize("loss", LOSSES)
def test_the_right_answer_costs_nothing(loss):
    _, targets = random_case()
    truth = torch.nn.functional.one_hot(targets.where(targets != 255, 0), 3).movedim(-1, 1)
    assert loss(50.0 * truth, targets) < 1e-6
    assert loss(-50.0 * truth, targets) > 0.9


def test_dice_by_hand():
    """Four pixels: p of class 1 is 0.5, 0.5, 1, 0 and g is 1, 1, 1, 0."""
    ln = 40.0  # as good as certain
    logits = torch.tensor([[[[0.0, 0.0, -ln, ln]], [[0.0, 0.0, ln, -ln]]]])
    # Class 1: 2 * 2 / (1.5 + 3). Class 0: p is 0.5, 0.5, 0, 1 and g is 0, 0, 0, 1: 2 / (1.5 + 1).
    expected = 1 - (4 / 4.5 + 2 / 2.5) / 2
    assert dice_loss(logits, torch.tensor([[[1, 1, 1, 0]]])).item() == pytest.approx(expected)


def test_dice_weighs_small_regions_as_large_ones():
    targets = torch.zeros(1, 10, 10, dtype=torch.int64)
    targets[0, 0, 0] = 1
    says_background = torch.tensor([30.0, -30.0]).view(1, 2, 1, 1).expand(1, 2, 10, 10)
    assert dice_loss(says_background, targets) > 0.5
    assert dice_loss(says_background, torch.zeros_like(targets)) < 1e-6  # class 1 is not there


@pytest.mark.parametrize("loss", LOSSES)
def test_bad_targets(loss):
    logits = torch.zeros(1, 3, 2, 2)
    for bad, words in [
        (torch.zeros(1, 2, 3, dtype=torch.int64), r"must be int64 \[1, 2, 2\], got .* \[1, 2, 3\]"),
        (torch.zeros(1, 2, 2), r"must be int64 \[1, 2, 2\], got torch.float32"),
        (torch.full((1, 2, 2), 3), "must be labels 0 to 2, or 255 where .* got 3"),
        (torch.full((1, 2, 2), -1), "got -1"),
    ]:
        with pytest.raises(ValueError, match=words):
            loss(logits, bad)
