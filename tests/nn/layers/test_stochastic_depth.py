"""StochasticDepth: whole branches, each image on its own, with the right mean."""

import pytest
import torch

from fastcv.nn.layers.stochastic_depth import StochasticDepth


def test_keeps_or_drops_whole_images():
    torch.manual_seed(0)
    x = torch.rand(4000, 2, 3, 1) + 1
    out = StochasticDepth(0.25)(x)
    factor = (out / x).flatten(1)
    # One for all channels and pixels of an image.
    torch.testing.assert_close(factor, factor[:, :1].expand_as(factor))
    kept = factor[:, 0] > 0
    torch.testing.assert_close(factor[kept, 0], torch.full((int(kept.sum()),), 1 / 0.75))
    assert abs(float(kept.float().mean()) - 0.75) < 0.03  # 4 standard deviations


@pytest.mark.parametrize("p", [0.0, 0.5])
def test_leaves_a_branch_alone_in_eval_mode(p):
    x = torch.rand(3, 2)
    assert StochasticDepth(p).eval()(x) is x
    assert StochasticDepth(0.0).train()(x) is x


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_refuses_what_is_no_probability(p):
    with pytest.raises(ValueError, match=r"p must be in \[0, 1\]"):
        StochasticDepth(p)


def test_a_batch_is_one():
    torch.manual_seed(0)
    layer = StochasticDepth(0.4, "batch")
    factors = [layer(torch.ones(3, 2)) for _ in range(500)]
    assert all(len(f.unique()) == 1 for f in factors)
    kept = sum(bool(f[0, 0] > 0) for f in factors) / 500
    assert abs(kept - 0.6) < 0.09  # 4 standard deviations
    assert max(f.max().item() for f in factors) == pytest.approx(1 / 0.6)


@pytest.mark.parametrize("mode", ["row", "batch"])
def test_everything_left_out(mode):
    assert torch.equal(StochasticDepth(1.0, mode)(torch.ones(4, 3)), torch.zeros(4, 3))


def test_refuses_an_unknown_mode():
    with pytest.raises(ValueError, match="mode must be 'row' or 'batch', got 'pixel'"):
        StochasticDepth(0.5, "pixel")
