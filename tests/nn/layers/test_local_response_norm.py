"""Local response normalisation against the paper's formula."""

import torch

from fastcv.nn.layers.local_response_norm import local_response_norm


def test_is_the_papers_formula():
    torch.manual_seed(0)
    x = torch.randn(2, 9, 3, 4, dtype=torch.double) * 100
    want = torch.empty_like(x)
    for i in range(9):
        around = x[:, max(0, i - 2) : min(8, i + 2) + 1]
        want[:, i] = x[:, i] / (2 + 1e-4 * around.square().sum(1)) ** 0.75
    torch.testing.assert_close(local_response_norm()(x), want)
