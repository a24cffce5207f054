"""The RoI ops return what torchvision's do: values and gradients."""

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st

from fastcv import ops

peers = torchvision.ops
NAMES = ["roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool"]
FORMATS = [torch.contiguous_format, torch.channels_last]


def random_rois(k, images, extent, seed, inverted=True):
    """Boxes that reach beyond the map, that lie outside of it, and some turned inside out."""
    g = torch.Generator().manual_seed(seed)
    corner = torch.rand(k, 2, generator=g) * (extent + 6) - 5
    size = torch.rand(k, 2, generator=g) * extent
    rois = torch.cat([torch.randint(images, (k, 1), generator=g), corner, corner + size], 1)
    if inverted:
        rois[3::7, [1, 3]] = rois[3::7, [3, 1]]
    rois[4::7, 1:] = rois[4::7, 1:].round() + torch.tensor([0, 0, 2, 2])
    rois[5::7, 1:] += 2 * extent
    return rois


def check(name, x, rois, size, *options, tolerance=1e-5, inner=False):
    """`inner`: no box reaches the last row or column, which torchvision's ps_roi_pool leaves out
    forward but not backward."""
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    out = getattr(ops, name)(ours, rois, size, *options)
    expected = getattr(peers, name)(theirs, rois, size, *options)
    assert out.shape == expected.shape and out.dtype == expected.dtype
    torch.testing.assert_close(out, expected, rtol=tolerance, atol=tolerance)
    if name == "ps_roi_pool" and not inner:
        return
    grad = torch.randn(expected.shape, generator=torch.Generator().manual_seed(0)).to(expected)
    (a,) = torch.autograd.grad(out, ours, grad)
    (b,) = torch.autograd.grad(expected, theirs, grad)
    torch.testing.assert_close(a, b, rtol=tolerance, atol=10 * tolerance)


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    seed=st.integers(0, 2**31),
    k=st.integers(0, 40),
    channels=st.sampled_from([1, 3, 16, 20]),
    size=st.sampled_from([(1, 1), (2, 3), (7, 7)]),
    shape=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    scale=st.sampled_from([1.0, 0.25, 0.0625, 2.0]),
    ratio=st.sampled_from([-1, 0, 1, 2, 3]),
    aligned=st.booleans(),
    last=st.booleans(),
)
def test_any_shape(name, seed, k, channels, size, shape, scale, ratio, aligned, last):
    # In float64: a sample on the edge of the map is inside or outside by its rounding.
    if name.startswith("ps_"):
        channels *= size[0] * size[1]
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(2, channels, *shape, generator=g, dtype=torch.float64)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    # torchvision makes NaN of the others, or an allocation that fails.
    inverted = name.endswith("pool") or ratio > 0
    rois = random_rois(k, 2, max(shape) / scale, seed, inverted).double()
    options = {"roi_align": (ratio, aligned), "ps_roi_align": (ratio,)}.get(name, ())
    check(name, x, rois, size, scale, *options, tolerance=1e-9)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("name", NAMES)
def test_single_precision(name, memory_format):
    channels = 49 * 5 if name.startswith("ps_") else 70
    g = torch.Generator().manual_seed(1)
    x = torch.randn(2, channels, 50, 68, generator=g).contiguous(memory_format=memory_format)
    rois = random_rois(100, 2, 270.0, 1, inverted=name != "ps_roi_align")
    for options in {"roi_align": [(2, True), (-1, False)], "ps_roi_align": [(2,), (-1,)]}.get(
        name, [()]
    ):
        check(name, x, rois, 7, 0.25, *options)


def test_gradient_of_ps_roi_pool():
    x = torch.randn(2, 12, 20, 24, dtype=torch.float64)
    rois = random_rois(60, 2, 20.0, 3)
    rois[:, 1:] = rois[:, 1:].clamp(max=18.0)
    check("ps_roi_pool", x, rois.double(), (2, 3), tolerance=1e-9, inner=True)


@pytest.mark.parametrize("name", NAMES)
def test_boxes_as_a_list(name):
    x = torch.randn(3, 16, 20, 20, dtype=torch.float64)
    boxes = [random_rois(k, 1, 20.0, k)[:, 1:].double() for k in (3, 0, 4)]
    check(name, x, boxes, 4, tolerance=1e-9)


@pytest.mark.parametrize(
    "name, options",
    [("RoIAlign", (0.5, 2)), ("RoIPool", (0.5,)), ("PSRoIAlign", (0.5, 2)), ("PSRoIPool", (0.5,))],
)
def test_modules(name, options):
    ours, theirs = getattr(ops, name)(2, *options), getattr(peers, name)(2, *options)
    assert repr(ours) == repr(theirs)
    x, rois = torch.randn(2, 16, 20, 20), random_rois(20, 2, 20.0, 0)
    torch.testing.assert_close(ours(x, rois), theirs(x, rois), rtol=1e-5, atol=1e-5)
