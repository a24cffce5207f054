"""The order of items, and their random numbers."""

import random

import numpy as np
import pytest
import torch

from fastcv.learn._batches import Order, SeededItems, collate_by_target


def indices(batches):
    return [[index for _, index in batch] for batch in batches]


def test_an_epoch_is_a_shuffle_without_the_rest():
    order = Order(23, batch_size=4, parts=1, seed=7)
    first = indices(order)
    assert [len(batch) for batch in first] == [4] * 5 == [4] * len(order)
    seen = [index for batch in first for index in batch]
    assert len(set(seen)) == 20 and set(seen) < set(range(23)) and seen != sorted(seen)
    assert indices(order) == first
    order.epoch = 1
    assert indices(order) != first
    assert indices(Order(23, batch_size=4, parts=1, seed=8)) != first


@pytest.mark.parametrize("processes, parts", [(2, 1), (1, 2), (2, 3)])
def test_processes_and_parts_share_the_same_steps(processes, parts):
    whole = indices(Order(50, batch_size=12, parts=1, seed=0))
    shares = [
        indices(Order(50, batch_size=12, parts=parts, seed=0, rank=r, processes=processes))
        for r in range(processes)
    ]
    for step, batch in enumerate(whole):
        mine = [i for part in range(parts) for share in shares for i in share[step * parts + part]]
        assert mine == batch


def test_starts_in_the_middle():
    order = Order(50, batch_size=12, parts=2, seed=0)
    whole = list(order)
    order.first_step = 3
    assert list(order) == whole[6:] and len(order) == 2


class Noise(torch.utils.data.Dataset):
    def __getitem__(self, index):
        return index, random.random(), np.random.rand(), torch.rand(()).item()


def test_random_numbers_of_an_item_depend_on_its_place_only():
    items = SeededItems(Noise(), seed=3)
    draws = {key: items[key] for key in [(0, 1), (0, 2), (1, 1)]}
    torch.rand(3), random.random(), np.random.rand()
    assert {key: items[key] for key in reversed(draws)} == draws
    assert SeededItems(Noise(), seed=4)[0, 1] != draws[0, 1]
    for column in (1, 2, 3):
        assert len({draw[column] for draw in draws.values()}) == 3


def test_collate():
    images, labels = collate_by_target([(torch.zeros(1, 2), 3), (torch.ones(1, 2), 4)])
    assert images.tolist() == [[[0, 0]], [[1, 1]]] and labels.tolist() == [3, 4]
    batch = [(torch.zeros(3, 4, 5), {"boxes": torch.zeros(2, 4)}), (torch.zeros(3, 6, 7), {})]
    images, targets = collate_by_target(batch)
    assert [i.shape for i in images] == [(3, 4, 5), (3, 6, 7)] and targets == [batch[0][1], {}]
