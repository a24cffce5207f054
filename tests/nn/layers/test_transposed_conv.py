import math

import pytest
import torch
from torch.nn import functional as F

from fastcv.draw import draw_overlap
from fastcv.nn.layers.transposed_conv import (
    ConvTranspose2d,
    bilinear_kernel,
    overlap_map,
)


@pytest.mark.parametrize(
    "options",
    [
        {"kernel_size": 2, "stride": 2},
        {"kernel_size": 4, "stride": 2, "padding": 1, "bias": False},
        {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1, "groups": 6},
    ],
)
def test_takes_torchs_state_dict_and_gives_its_results(options):
    theirs = torch.nn.ConvTranspose2d(6, 6, **options)
    ours = ConvTranspose2d(6, 6, **options)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 6, 5, 7)
    torch.testing.assert_close(ours(x), theirs(x), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(ours(x[0]), theirs(x[0]), rtol=1e-5, atol=1e-5)
    assert repr(ours) == repr(theirs)


def test_output_size_as_torchs():
    theirs = torch.nn.ConvTranspose2d(3, 3, 3, stride=2, padding=1, groups=3)
    ours = ConvTranspose2d(3, 3, 3, stride=2, padding=1, groups=3)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(1, 3, 5, 5)
    torch.testing.assert_close(ours(x, [10, 9]), theirs(x, [10, 9]))
    with pytest.raises(ValueError, match="output size"):
        ours(x, [12, 12])


@pytest.mark.parametrize("scale", [2, 3, 4, 8, 32])
def test_a_bilinear_kernel_interpolates(scale):
    size = 2 * scale - scale % 2
    up = ConvTranspose2d(2, 2, size, scale, scale // 2, groups=2, bias=False)
    with torch.no_grad():
        up.weight.copy_(bilinear_kernel(2, size))
    x = torch.randn(1, 2, 6, 7)
    with torch.no_grad():
        out = up(x)
    expected = F.interpolate(x, scale_factor=scale, mode="bilinear", align_corners=False)
    inside = (..., slice(scale, 5 * scale), slice(scale, 6 * scale))
    torch.testing.assert_close(out[inside], expected[..., : out.shape[2], : out.shape[3]][inside])


def test_a_bilinear_kernel_needs_a_size():
    with pytest.raises(ValueError, match="at least 1, got 3 and 0"):
        bilinear_kernel(3, 0)


@pytest.mark.parametrize("kernel, stride, size", [(3, 2, 5), (4, 2, 7), (5, 3, 6), (2, 2, 3)])
def test_overlap_is_counted(kernel, stride, size):
    count = [0] * ((size - 1) * stride + kernel)
    for i in range(size):
        for k in range(kernel):
            count[i * stride + k] += 1
    line = torch.tensor(count, dtype=torch.float32)
    got = overlap_map(kernel, stride, size)
    assert torch.equal(got, torch.outer(line, line))
    inner = got[kernel : -kernel or None, kernel : -kernel or None]
    assert (inner.unique().numel() == 1) == (kernel % stride == 0)


def test_drawn_panels():
    figure = draw_overlap([(3, 2)], size=5)
    overlap, transposed, resized = (a.images[0].get_array() for a in figure.axes[:3])
    assert overlap.shape == transposed.shape == (11, 11) and resized.shape == (10, 10)
    assert overlap.max() == 4 and transposed.std() > 0.1
    assert math.isclose(resized.std(), 0, abs_tol=1e-6)
