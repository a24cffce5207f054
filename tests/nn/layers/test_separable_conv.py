import pytest
import torch

from fastcv.nn.layers.separable_conv import AtrousSeparableConv2d, SeparableConv2d
from fastcv.ops import atrous_separable_conv2d


def trained(**options):
    """A layer whose norms have seen something."""
    torch.manual_seed(0)
    layer = AtrousSeparableConv2d(6, 9, **options)
    for norm in (layer.depthwise_norm, layer.pointwise_norm):
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.normal_(norm.bias)
    for _ in range(3):
        layer(torch.randn(4, 6, 12, 12) * 2 + 1)
    return layer


@pytest.mark.parametrize(
    "options",
    [{}, {"dilation": 6}, {"stride": 2}, {"kernel_size": 5, "dilation": 2}, {"relu": False}],
)
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_folding_changes_nothing(options, memory_format):
    layer = trained(**options).eval()
    x = torch.randn(2, 6, 13, 11).contiguous(memory_format=memory_format)
    with torch.no_grad():
        expected = layer(x)
        folded = layer.fold()
        assert folded is layer and not layer.training
        torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(layer.fold()(x), expected, rtol=1e-5, atol=1e-5)
    assert set(layer.state_dict()) == {
        "depthwise.weight", "depthwise.bias", "pointwise.weight", "pointwise.bias",
    }  # fmt: skip


def test_it_is_the_six_layers_and_trains():
    layer = trained(dilation=2)
    six = torch.nn.Sequential(
        layer.depthwise, layer.depthwise_norm, torch.nn.ReLU(),
        layer.pointwise, layer.pointwise_norm, torch.nn.ReLU(),
    )  # fmt: skip
    x = torch.randn(2, 6, 9, 9)
    torch.testing.assert_close(layer(x), six(x))
    layer(x).sum().backward()
    assert all(p.grad is not None for p in layer.parameters())


def test_without_relus():
    layer = trained(relu=False)
    four = torch.nn.Sequential(
        layer.depthwise, layer.depthwise_norm, layer.pointwise, layer.pointwise_norm
    )
    x = torch.randn(2, 6, 9, 9)
    torch.testing.assert_close(layer(x), four(x))


def test_separable_is_the_op():
    layer, x = SeparableConv2d(6, 9, dilation=2), torch.randn(2, 6, 11, 8)
    expected = atrous_separable_conv2d(
        x, layer.conv1.weight, layer.pointwise.weight, padding=2, dilation=2
    )
    torch.testing.assert_close(layer(x), expected, rtol=1e-5, atol=1e-6)


def test_a_folded_layer_still_has_gradients_of_its_input():
    layer = trained().fold()
    x = torch.randn(1, 6, 8, 8, requires_grad=True)
    layer(x).sum().backward()
    assert x.grad.abs().sum() > 0


def test_even_kernels_have_no_middle():
    with pytest.raises(ValueError, match="kernel_size must be odd, got 4"):
        AtrousSeparableConv2d(2, 2, kernel_size=4)
