"""The hinge of ranking by scalar loops, its gradient, and what it refuses."""

import pytest
import torch

from fastcv.nn.losses.ranking_hinge import ranking_hinge


def by_hand(scores, margin, worst, ignore):
    n = len(scores)
    rows = columns = 0.0
    for i in range(n):
        others = [k for k in range(n) if k != i]
        of_row = [max(0, margin + scores[i][k] - scores[i][i]) for k in others if not ignore[i][k]]
        of_column = [
            max(0, margin + scores[k][i] - scores[i][i]) for k in others if not ignore[k][i]
        ]
        rows += max([0, *of_row]) if worst else sum(of_row)
        columns += max([0, *of_column]) if worst else sum(of_column)
    return rows, columns


@pytest.mark.parametrize("worst", [False, True])
@pytest.mark.parametrize("n", [1, 2, 5])
def test_by_hand(n, worst):
    torch.manual_seed(n)
    scores, ignore = torch.rand(n, n, dtype=torch.float64), torch.rand(n, n) < 0.3
    for mask in (None, ignore):
        found = ranking_hinge(scores, margin=0.3, max_violation=worst, ignore=mask)
        none = [[False] * n] * n
        expected = by_hand(scores.tolist(), 0.3, worst, none if mask is None else ignore.tolist())
        assert [term.item() for term in found] == pytest.approx(expected)


def test_only_the_worst_moves():
    scores = torch.tensor([[0.5, 0.45, 0.4], [0.0, 0.9, 0.0], [0.0, 0.0, 0.9]], requires_grad=True)
    rows, _ = ranking_hinge(scores, max_violation=True)
    rows.backward()
    # Of the first row 0.2 - 0.5 + 0.45; the others are apart by more than the margin.
    assert rows.item() == pytest.approx(0.15)
    assert scores.grad.tolist() == [[-1, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_what_is_refused():
    with pytest.raises(TypeError, match="scores must be a tensor, got list"):
        ranking_hinge([[1.0]])
    for wrong in (torch.rand(2, 3), torch.rand(4)):
        with pytest.raises(ValueError, match=r"scores must be \[B, B\], got"):
            ranking_hinge(wrong)
    for ignore in (torch.ones(3, 2).bool(), torch.ones(3, 3)):
        with pytest.raises(ValueError, match=r"ignore must be \[3, 3\] bool, got"):
            ranking_hinge(torch.rand(3, 3), ignore=ignore)
