"""Hard negative mining on losses made by hand."""

import torch

from fastcv.nn.detection.hard_negatives import hard_negatives


def test_the_worst_of_each_image():
    loss = torch.tensor([[9.0, 1, 2, 3, 4, 5, 6], [9.0, 8, 7, 1, 2, 6, 3]])
    positive = torch.zeros(2, 7, dtype=torch.bool)
    positive[0, 0] = positive[1, 0] = positive[1, 5] = True
    chosen = hard_negatives(loss, positive, ratio=2)
    assert chosen[0].nonzero().flatten().tolist() == [5, 6]  # two for one positive
    assert chosen[1].nonzero().flatten().tolist() == [1, 2, 4, 6]  # four for two, no positive
    assert hard_negatives(loss, positive).sum(dim=1).tolist() == [3, 5]  # five are all there are


def test_nothing_without_objects():
    assert not hard_negatives(torch.rand(2, 5), torch.zeros(2, 5, dtype=torch.bool)).any()


def test_a_positive_is_no_negative_however_few_are_left():
    positive = torch.tensor([[True, True, False]])
    assert hard_negatives(torch.tensor([[1.0, 2, 3]]), positive).tolist() == [[False, False, True]]


def test_of_equals_the_first_and_no_gradient():
    loss = torch.ones(1, 6, requires_grad=True)
    positive = torch.tensor([[False, False, True, False, False, False]])
    assert hard_negatives(loss * 2, positive, 2)[0].tolist() == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]
