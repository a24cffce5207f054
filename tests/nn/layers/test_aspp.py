import pytest
import torch
from torch.nn import functional as F

import fastcv
from fastcv.nn.layers.aspp import ASPP


@pytest.mark.parametrize("separable", [False, True])
def test_is_its_five_branches(separable):
    """Of the weights themselves: a 1x1 convolution, three rates, the mean; concatenated."""
    torch.manual_seed(0)
    aspp, x = ASPP(6, (2, 3, 5), 4, separable=separable).eval(), torch.randn(2, 6, 9, 7)

    def normed(y):  # statistics 0 and 1
        return (y / (1 + 1e-5) ** 0.5).relu()

    with torch.no_grad():
        branches = [normed(F.conv2d(x, aspp.convs[0][0].weight))]
        for i, rate in enumerate((2, 3, 5), start=1):
            if separable:
                depthwise, pointwise = aspp.convs[i][0]
                y = F.conv2d(x, depthwise.weight, None, 1, rate, rate, 6)
                y = F.conv2d(y, pointwise.weight)
            else:
                y = F.conv2d(x, aspp.convs[i][0].weight, None, 1, rate, rate)
            branches.append(normed(y))
        mean = normed(F.conv2d(x.mean((2, 3), keepdim=True), aspp.convs[4][1].weight))
        branches.append(mean.expand(-1, -1, 9, 7))
        expected = normed(F.conv2d(torch.cat(branches, 1), aspp.project[0].weight))
        torch.testing.assert_close(aspp(x), expected, rtol=1e-5, atol=1e-6)


def test_optimized_it_concatenates_in_channels_last():
    """Otherwise the projection would copy what it reads."""
    fast = fastcv.optimize(ASPP(6, (2, 3, 5), 4))
    seen = []
    fast.project[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    fast(torch.randn(2, 6, 9, 7))
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


def test_it_trains_on_one_image():
    """Whose one mean has no variance: the running statistics normalise it."""
    torch.manual_seed(0)
    aspp, x = ASPP(6, (2, 3), 4), torch.randn(1, 6, 5, 5)
    _, convolution, norm, _ = aspp.convs[-1]
    norm.running_mean.fill_(0.5)
    norm.running_var.fill_(4.0)
    mean = convolution(x.mean((2, 3), keepdim=True))
    expected = ((mean - 0.5) / (4 + 1e-5) ** 0.5).relu().expand(-1, -1, 5, 5)
    torch.testing.assert_close(aspp.convs[-1](x), expected)
    assert norm.running_mean.unique().tolist() == [0.5]  # one value is no statistic
    aspp(x).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in aspp.parameters())
    aspp.convs[-1](torch.cat([x, x + 1]))  # two have one
    assert norm.running_mean.unique().tolist() != [0.5]
