"""Triplets against the definition, row by row."""

import pytest
import torch

from fastcv.nn.losses.impostor_triplets import sampled_triplets, semi_hard_triplets


def some_scores(size=6, seed=0):
    return 2 * torch.randn(size, size, generator=torch.Generator().manual_seed(seed)).double()


@pytest.mark.parametrize("margin", [1.0, 0.3])
def test_semi_hard_by_hand(margin):
    for seed in range(5):
        scores = some_scores(seed=seed)
        rows = scores.tolist()
        total = 0.0
        for i, row in enumerate(rows):
            # What is not below the right one is put to 0, the right one itself too.
            impostor = max(0.0, *[score for score in row if score < row[i]] or [0.0])
            total += max(0.0, impostor - row[i] + margin)
        found = semi_hard_triplets(scores, margin=margin)
        assert float(found) == pytest.approx(total / len(rows), rel=1e-12)


def test_sampled_is_one_of_the_others_and_all_are_drawn():
    scores = some_scores(4)
    rows = scores.tolist()
    # All triples of impostors are possible: each loss is one of these means.
    terms = [
        [max(0.0, row[k] - row[i] + 1) for k in range(4) if k != i] for i, row in enumerate(rows)
    ]
    possible = {
        round((a + b + c + d) / 4, 9)
        for a in terms[0]
        for b in terms[1]
        for c in terms[2]
        for d in terms[3]
    }
    torch.manual_seed(0)
    found = {round(float(sampled_triplets(scores)), 9) for _ in range(1000)}
    assert found == possible


def test_two_rows_have_one_impostor_each():
    scores = torch.tensor([[1.0, 0.5], [3.0, 1.0]])
    assert float(sampled_triplets(scores)) == pytest.approx((0.5 + 3.0) / 2)
    assert float(sampled_triplets(scores.T)) == pytest.approx((3.0 + 0.5) / 2)


def test_gradients():
    torch.manual_seed(3)
    scores = some_scores().requires_grad_()

    def both(x):
        torch.manual_seed(3)
        return sampled_triplets(x) + semi_hard_triplets(x)

    assert torch.autograd.gradcheck(both, scores)


@pytest.mark.parametrize("loss", [sampled_triplets, semi_hard_triplets])
def test_errors(loss):
    for wrong in (torch.ones(3, 4), torch.ones(1, 1), torch.ones(3)):
        with pytest.raises(ValueError, match=r"scores must be \[B, B\] with B at least 2"):
            loss(wrong)
    with pytest.raises(TypeError, match="scores"):
        loss([[1.0]])
