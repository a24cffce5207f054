"""Verification: the best threshold by trying all, and the share of pairs told rightly."""

import pytest
import torch

from fastcv.metrics import best_threshold, verification_accuracy


def accuracy(similarities, same, threshold):
    pairs = zip(similarities.tolist(), same.tolist(), strict=True)
    return sum((s >= threshold) == y for s, y in pairs) / len(same)


@pytest.mark.parametrize("seed", range(20))
def test_no_other_threshold_is_better(seed):
    generator = torch.Generator().manual_seed(seed)
    n = 1 + seed * 3
    similarities = (torch.rand(n, generator=generator) * 10).round() / 10  # with ties
    same = torch.rand(n, generator=generator) > 0.5
    threshold = best_threshold(similarities, same)
    found = verification_accuracy(similarities, same, threshold)
    assert found == pytest.approx(accuracy(similarities, same, threshold))
    tried = [-1.0, *(similarities - 0.01).tolist(), *(similarities + 0.01).tolist()]
    assert found == pytest.approx(max(accuracy(similarities, same, t) for t in tried))


def test_of_nothing_known_it_is_chance():
    same = torch.arange(10) % 2 == 0
    assert verification_accuracy(torch.zeros(10), same, 0.5) == 0.5
    assert verification_accuracy(torch.zeros(10), same, 0.0) == 0.5


def test_wrong_arguments():
    for a, b in ((torch.rand(3), torch.ones(2).bool()), (torch.rand(3), torch.ones(3))):
        for call in (best_threshold, lambda x, y: verification_accuracy(x, y, 0.0)):
            with pytest.raises(ValueError, match=r"similarities must be \[N\] and same \[N\] bool"):
                call(a, b)
    with pytest.raises(ValueError, match="there must be at least one pair, got none"):
        best_threshold(torch.rand(0), torch.ones(0).bool())
