"""Two frames' pyramids joined: what is gathered, moved and scattered, each from its definition."""

import pytest
import torch
from torch.nn import functional as F

import fastcv
from fastcv.nn.layers.correlation_flow import CorrelationFlow
from fastcv.nn.layers.temporal_fusion import TemporalFusion
from fastcv.nn.panoptic.neighbour_fusion import NeighbourFusion, gathered, scattered

SIZES = ((24, 40), (12, 20), (6, 10), (3, 5), (2, 3))


def pyramid(batch=1, channels=8, seed=0):
    torch.manual_seed(seed)
    return [torch.randn(batch, channels, *size) for size in SIZES]


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_parameters():
    assert parameters(CorrelationFlow(256)) == 251_298
    assert parameters(TemporalFusion(256)) == 2_885_888
    fusion = NeighbourFusion(256)
    assert parameters(fusion) == 251_298 + 2_885_888 + parameters(fusion.refine)
    assert parameters(fusion.refine) == 256 * 256 * 9 + 256


def test_gathered_is_the_mean_of_the_nearest_pixels():
    levels = pyramid()
    found = gathered(levels)
    for y, x in ((0, 0), (23, 39), (7, 18)):
        # The nearest pixel below: y * h // H.
        own = [
            level[0, :, y * h // 24, x * w // 40]
            for level, (h, w) in zip(levels, SIZES, strict=True)
        ]
        torch.testing.assert_close(found[0, :, y, x], torch.stack(own).mean(0))


def test_scattered_adds_the_maximum_of_what_a_pixel_covers():
    levels, x = pyramid(), torch.randn(1, 8, 24, 40)
    for k, (found, level) in enumerate(zip(scattered(x, levels), levels, strict=True)):
        side = 2**k
        for row, column in ((0, 0), (level.shape[2] - 1, level.shape[3] - 1)):
            rows = slice(row * side, (row + 1) * side)  # the last may reach beyond the map
            window = x[0, :, rows, column * side : (column + 1) * side]
            torch.testing.assert_close(
                found[0, :, row, column], level[0, :, row, column] + window.amax((1, 2))
            )


def test_no_motion_changes_nothing():
    """A guess of zeros and a net that finds nothing left: the earlier frame is read as it is."""
    fusion, levels, earlier = NeighbourFusion(8), pyramid(), pyramid(seed=1)
    for parameter in fusion.flow.convs[-1].parameters():
        torch.nn.init.zeros_(parameter)
    seen = []
    fusion.join.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    _, flow = fusion(levels, earlier, torch.zeros(1, 2, 24, 40))
    ((now, moved),) = seen
    assert not flow.any()
    assert torch.equal(now, gathered(levels)) and torch.equal(moved, gathered(earlier))


def test_a_refinement_of_zeros_leaves_the_pyramid_as_it_is():
    fusion, levels = NeighbourFusion(8), pyramid()
    for parameter in fusion.refine.parameters():
        torch.nn.init.zeros_(parameter)
    fused, _ = fusion(levels, pyramid(seed=1), torch.randn(1, 2, 24, 40))
    assert all(torch.equal(a, b) for a, b in zip(fused, levels, strict=True))


def test_an_untrained_one_hardly_changes_a_pyramid():
    levels = pyramid(channels=64)
    fused, _ = NeighbourFusion(64)(levels, levels, torch.zeros(1, 2, 24, 40))
    for a, b in zip(fused, levels, strict=True):
        assert (a - b).abs().mean() < 0.1 * b.abs().mean()


def test_the_guess_is_followed():
    """The earlier frame is the later one, three pixels further right: the guess says so."""
    fusion = NeighbourFusion(8)
    for parameter in fusion.flow.convs[-1].parameters():
        torch.nn.init.zeros_(parameter)
    seen = []
    fusion.join.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    x = torch.randn(1, 8, 24, 40)
    guess = torch.zeros(1, 2, 24, 40)
    guess[:, 0] = 3
    _, flow = fusion([x], [x.roll(3, dims=3)], guess)
    ((now, moved),) = seen
    assert torch.equal(moved[..., :-3], now[..., :-3]) and torch.equal(flow, guess)


def test_the_flow_is_that_of_both_moves():
    """What the two warps do one after the other, one warp by the whole flow does."""
    fusion, channels = NeighbourFusion(4), 4
    guess = torch.full((1, 2, 24, 40), 2.0)
    for parameter in fusion.flow.convs[-1].parameters():
        torch.nn.init.zeros_(parameter)
    fusion.flow.convs[-1].bias.data = torch.tensor([-1.0, 1.0])
    seen = []
    fusion.join.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    before = torch.randn(1, channels, 24, 40)
    _, flow = fusion([torch.randn(1, channels, 24, 40)], [before], guess)
    assert (flow[:, 0] == 1).all() and (flow[:, 1] == 3).all()
    inside = (slice(None), slice(None), slice(4, -4), slice(4, -4))
    torch.testing.assert_close(seen[0][1][inside], fastcv.ops.flow_warp(before, flow)[inside])


def test_the_flow_net_reads_features_costs_and_guess():
    net = CorrelationFlow(8, radius=2)
    new, moved, guess = torch.randn(1, 8, 6, 7), torch.randn(1, 8, 6, 7), torch.randn(1, 2, 6, 7)
    padded = F.pad(moved, (2, 2, 2, 2))
    costs = [
        (new * padded[:, :, dy : dy + 6, dx : dx + 7]).mean(1) for dy in range(5) for dx in range(5)
    ]
    expected = net.convs(torch.cat([new, torch.stack(costs, 1), guess], dim=1))
    torch.testing.assert_close(net(new, moved, guess), expected)


def test_the_fusion_by_hand():
    """Of frames that are the same, each place weighs both alike."""
    fusion, x = TemporalFusion(4), torch.randn(2, 4, 6, 8)
    first = fusion.embed_first(x)
    weight = (fusion.embed(x) * first).sum(1, keepdim=True).sigmoid()
    weighed = torch.cat([x * weight, x * weight], dim=1)
    joined = F.leaky_relu(fusion.join(weighed), 0.1)
    att = F.leaky_relu(fusion.look(weighed), 0.1)
    att = torch.cat([F.max_pool2d(att, 3, 2, 1), F.avg_pool2d(att, 3, 2, 1)], dim=1)
    att = F.leaky_relu(fusion.coarse(F.leaky_relu(fusion.pooled(att), 0.1)), 0.1)
    att = fusion.weigh(F.interpolate(att, scale_factor=2, mode="bilinear", align_corners=False))
    added = fusion.add_2(F.leaky_relu(fusion.add_1(att), 0.1))
    torch.testing.assert_close(fusion([x, x]), joined * att.sigmoid() * 2 + added)


@pytest.mark.parametrize("size", [(1, 1), (5, 3), (6, 7)])
def test_any_size(size):
    x = torch.randn(1, 4, *size, requires_grad=True)
    out = TemporalFusion(4)([x, x])
    assert out.shape == x.shape
    out.sum().backward()
    assert x.grad.isfinite().all()
