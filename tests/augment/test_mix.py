"""CutMix and MixUp against what they are by definition."""

import pytest
import torch

from fastcv import augment


def test_mix_up_by_hand():
    images = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 2, 2)
    mixed, shares = augment.mix_up(
        images, torch.eye(2), torch.tensor([0.75, 1.0]), torch.tensor([1, 0])
    )
    assert mixed[:, 0, 0, 0].tolist() == [0.25, 1.0]
    assert shares.tolist() == [[0.75, 0.25], [0.0, 1.0]]


def test_cut_mix_by_hand():
    images = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 4, 4)
    boxes = torch.tensor([[1, 0, 3, 2], [0, 0, 0, 0]])
    mixed, shares = augment.cut_mix(images, torch.eye(2), boxes, torch.tensor([1, 0]))
    assert mixed[0, 0].tolist() == [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert shares.tolist() == [[0.75, 0.25], [0.0, 1.0]]


@pytest.mark.parametrize("mixing", [augment.MixUp(4), augment.CutMix(4)])
def test_shares_are_those_of_the_pixels(mixing):
    """Images that say their class by their value: what is in a mixed one tells its shares."""
    labels = torch.arange(64) % 4
    values = torch.eye(4)[labels][:, :3].view(64, 3, 1, 1)  # class 3 is black
    mixed, shares = mixing(
        values.expand(64, 3, 16, 16), labels, generator=torch.Generator().manual_seed(0)
    )
    torch.testing.assert_close(mixed.mean(dim=(2, 3)), shares[:, :3])
    torch.testing.assert_close(shares.sum(1), torch.ones(64))
    assert ((shares > 0.02) & (shares < 0.98)).any()


def test_cut_mix_shares_have_the_papers_mean():
    """Beta(1, 1) is uniform; without the edge, 1/2 stays in the mean, and with it somewhat more."""
    images = torch.zeros(2000, 3, 8, 8)
    images[::2] = 1
    _, shares = augment.CutMix(2000)(
        images, torch.arange(2000), generator=torch.Generator().manual_seed(1)
    )
    assert 0.6 < shares.diagonal().mean() < 0.75


def test_soft_targets_are_mixed_too():
    targets = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    _, shares = augment.MixUp(2, alpha=1.0)(torch.rand(2, 3, 4, 4), targets)
    torch.testing.assert_close(shares.sum(1), torch.ones(2))


def test_detection_targets_are_refused():
    with pytest.raises(TypeError, match=r"labels \[B\] or probabilities \[B, C\], got list"):
        augment.MixUp(2)(torch.rand(1, 3, 4, 4), [{"boxes": torch.empty(0, 4)}])
