"""Two data sets of different lengths, without pairs."""

import pytest
import torch

from fastcv.data import Unpaired


@pytest.mark.parametrize("lengths", [(5, 12), (12, 5), (7, 7)])
def test_as_long_as_the_longer(lengths):
    a, b = (list(range(n)) for n in lengths)
    data = Unpaired(a, b)
    torch.manual_seed(0)
    items = [data[i] for i in range(len(data))]
    assert len(items) == max(lengths)
    assert [x for x, _ in items] == [i % len(a) for i in range(len(data))]
    assert {y for _, y in items} <= set(b)


def test_partners_are_drawn_anew_and_evenly():
    data = Unpaired(["a"], range(4))
    torch.manual_seed(0)
    drawn = [data[0][1] for _ in range(4000)]
    # 1000 of each, with a standard deviation of 27.
    assert all(880 < drawn.count(i) < 1120 for i in range(4))
    torch.manual_seed(0)
    assert [data[0][1] for _ in range(100)] == drawn[:100]


def test_it_ends():
    assert len(list(Unpaired(range(3), range(2)))) == 3


@pytest.mark.parametrize("a, b, name", [([], [1], "a"), ([1], [], "b")])
def test_error(a, b, name):
    with pytest.raises(ValueError, match=f"{name} must have at least one item"):
        Unpaired(a, b)
