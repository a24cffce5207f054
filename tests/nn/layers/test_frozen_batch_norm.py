"""FrozenBatchNorm2d against its formula."""

import torch
from torch import nn

from fastcv.nn.layers.frozen_batch_norm import FrozenBatchNorm2d


def trained_norm():
    norm = nn.BatchNorm2d(5)
    g = torch.Generator().manual_seed(0)
    for i, tensor in enumerate((norm.weight, norm.bias, norm.running_mean, norm.running_var)):
        tensor.data = torch.rand(5, generator=g) + i / 2
    return norm


def test_formula_in_training_and_evaluation():
    norm = FrozenBatchNorm2d(5, eps=0.01)
    norm.load_state_dict(trained_norm().state_dict())  # its counter is left behind
    x = torch.randn(2, 5, 3, 4)
    w, b, mean, var = (t[:, None, None] for t in norm.state_dict().values())
    want = (x - mean) / (var + 0.01).sqrt() * w + b
    before = {k: v.clone() for k, v in norm.state_dict().items()}
    for training in (True, False):
        torch.testing.assert_close(norm.train(training)(x), want, rtol=1e-5, atol=1e-5)
    assert all(torch.equal(v, before[k]) for k, v in norm.state_dict().items())


def test_nothing_to_train_but_a_gradient_passes():
    norm = FrozenBatchNorm2d(5)
    assert not list(norm.parameters())
    x = torch.randn(1, 5, 2, 2, requires_grad=True)
    norm(x).sum().backward()
    torch.testing.assert_close(x.grad, torch.full_like(x, (1 + 1e-5) ** -0.5))


def test_its_checkpoint_fits_a_trained_norm():
    frozen, norm = FrozenBatchNorm2d(5), trained_norm()
    frozen.load_state_dict(norm.state_dict())
    again = nn.BatchNorm2d(5)
    again.load_state_dict(frozen.state_dict())  # published detectors have no counters
    assert torch.equal(again.running_var, norm.running_var)
