"""The track head and its loss, by hand."""

import math

import pytest
import torch

from fastcv.nn.panoptic.track_head import TrackHead, match_loss


def test_parameters():
    head = TrackHead(256 * 7 * 7)
    assert sum(p.numel() for p in head.parameters()) == 13_895_680


def test_two_layers_and_a_relu_between():
    head, pooled = TrackHead(8, 5), torch.randn(3, 2, 2, 2)
    first, second = head.fcs
    hidden = (pooled.flatten(1) @ first.weight.T + first.bias).clamp(min=0)
    torch.testing.assert_close(head.describe(pooled), hidden @ second.weight.T + second.bias)


def test_a_dot_product_for_each_pair_and_a_zero_for_a_new_object():
    head = TrackHead(4, 2)
    new, earlier = torch.tensor([[1.0, 2], [3, -1]]), torch.tensor([[4.0, 5], [0, 1], [2, 2]])
    expected = [[0, 14, 2, 6], [0, 7, -1, 4]]
    assert head(new, earlier).tolist() == expected
    assert head(new, earlier[:0]).tolist() == [[0], [0]]
    assert head(new[:0], earlier).shape == (0, 4)


def test_the_loss_by_hand():
    logits = [torch.tensor([[0.0, 1, 2], [0, 3, -1]]), torch.tensor([[0.0]])]
    matched = [torch.tensor([1, -1]), torch.tensor([-1])]
    first = math.log(1 + math.e + math.e**2) - 2
    second = math.log(1 + math.e**3 + math.exp(-1))
    expected = ((first + second) / 2 + 0) / 2
    assert match_loss(logits, matched).item() == pytest.approx(expected, rel=1e-5)


def test_an_image_without_boxes_costs_nothing():
    logits = torch.zeros(0, 3, requires_grad=True)
    loss = match_loss([logits], [torch.zeros(0, dtype=torch.int64)])
    loss.backward()
    assert loss.item() == 0
