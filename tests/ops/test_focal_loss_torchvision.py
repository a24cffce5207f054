"""sigmoid_focal_loss returns what torchvision's does: values and gradients."""

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcv.ops import sigmoid_focal_loss


def both(x, t, *arguments):
    out = []
    for call in (torchvision.ops.sigmoid_focal_loss, sigmoid_focal_loss):
        y = x.clone().requires_grad_()
        loss = call(y, t, *arguments)
        out.append((loss.detach(), torch.autograd.grad(loss.sum(), y)[0]))
    return out


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1 << 30),
    shape=st.lists(st.integers(1, 9), min_size=0, max_size=3),
    alpha=st.sampled_from([-1, 0, 0.25, 1]),
    gamma=st.sampled_from([0, 0.5, 1, 2, 3.5]),
    reduction=st.sampled_from(["none", "mean", "sum"]),
    soft=st.booleans(),
)
def test_matches(seed, shape, alpha, gamma, reduction, soft):
    g = torch.Generator().manual_seed(seed)
    x = 4 * torch.randn(shape, generator=g, dtype=torch.float64)
    t = torch.rand(shape, generator=g, dtype=torch.float64)
    t = t if soft else t.round()
    (peer, peer_grad), (ours, grad) = both(x, t, alpha, gamma, reduction)
    # torchvision's 1 - p_t loses digits where p_t is near 1.
    torch.testing.assert_close(ours, peer, rtol=1e-7, atol=1e-12)
    torch.testing.assert_close(grad, peer_grad, rtol=1e-6, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_matches_in_every_dtype(dtype):
    g = torch.Generator().manual_seed(0)
    x = torch.randn(100, 20, generator=g).to(dtype)
    t = (torch.rand(100, 20, generator=g) > 0.9).to(dtype)
    (peer, peer_grad), (ours, grad) = both(x, t)
    assert ours.dtype == peer.dtype and grad.dtype == peer_grad.dtype
    close = {torch.float32: 1e-5, torch.float16: 4e-3, torch.bfloat16: 3e-2}[dtype]
    torch.testing.assert_close(ours, peer, rtol=close, atol=close)
    torch.testing.assert_close(grad, peer_grad, rtol=close, atol=close)


def test_its_mean_of_nothing_is_nan_too():
    nothing = torch.zeros(0)
    assert torchvision.ops.sigmoid_focal_loss(nothing, nothing, reduction="mean").isnan()
    assert sigmoid_focal_loss(nothing, nothing, reduction="mean").isnan()
