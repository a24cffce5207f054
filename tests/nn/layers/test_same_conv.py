"""SameConv2d: TensorFlow's padding, by its definition."""

import pytest
import torch
from torch.nn import functional as F

from fastcv.nn.layers.same_conv import SameConv2d


def naive(x, weight, stride):
    """One channel: each output is the sum under the kernel, whose place is TensorFlow's."""
    (height, width), kernel = x.shape, weight.shape[-1]
    out = x.new_zeros(-(-height // stride), -(-width // stride))
    # The first kernel begins half of the missing cells, rounded down, before the picture.
    top, left = (
        max((n - 1) * stride + kernel - size, 0) // 2
        for n, size in zip(out.shape, x.shape, strict=True)
    )
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            for a in range(kernel):
                for b in range(kernel):
                    y, z = i * stride - top + a, j * stride - left + b
                    if 0 <= y < height and 0 <= z < width:
                        out[i, j] += weight[a, b] * x[y, z]
    return out


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("size", [(8, 7), (5, 5), (1, 4), (9, 2)])
def test_by_definition(kernel, stride, size):
    torch.manual_seed(0)
    layer = SameConv2d(1, 1, kernel, stride, bias=False).double()
    x = torch.randn(size, dtype=torch.double)
    expected = naive(x, layer.weight.detach()[0, 0], stride)
    torch.testing.assert_close(layer(x[None, None])[0, 0].detach(), expected)


def test_at_stride_1_an_odd_kernel_is_torchs():
    layer, x = SameConv2d(4, 4, 3, groups=2), torch.randn(2, 4, 6, 5)
    expected = F.conv2d(x, layer.weight, layer.bias, padding=1, groups=2)
    torch.testing.assert_close(layer(x), expected)
