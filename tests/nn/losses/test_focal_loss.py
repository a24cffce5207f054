import pytest
import torch

from fastcv.nn.losses.focal_loss import SigmoidFocalLoss, SoftmaxFocalLoss
from fastcv.ops import sigmoid_focal_loss, softmax_focal_loss


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_sigmoid_passes_its_options_on(reduction):
    x, t, weight = torch.randn(4, 3), torch.rand(4, 3), torch.rand(4)
    got = SigmoidFocalLoss(0.4, 1.5, reduction)(x, t, weight=weight)
    assert torch.equal(got, sigmoid_focal_loss(x, t, 0.4, 1.5, reduction, weight=weight))
    assert "alpha=0.4" in repr(SigmoidFocalLoss(0.4))


def test_softmax_passes_its_options_on():
    x, t = torch.randn(4, 3), torch.tensor([0, 2, 7, 1])
    got = SoftmaxFocalLoss(0.4, 1.5, "sum", ignore_index=7)(x, t, normalizer=3)
    assert torch.equal(got, softmax_focal_loss(x, t, 0.4, 1.5, "sum", 7, normalizer=3))


def test_factors_by_class_move_with_the_module():
    criterion = SoftmaxFocalLoss(torch.tensor([1.0, 2.0, 3.0])).to("meta")
    assert criterion.alpha.is_meta and "alpha" in criterion.state_dict()
