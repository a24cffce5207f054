"""deform_conv2d returns what torchvision's does: values and all five gradients."""

import torch
import torchvision
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fastcv import ops
from fastcv.nn.layers import deform_conv as nn

pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


def check(tensors, geometry, tolerance):
    """`tensors`: input, offset, weight, bias, mask."""
    results = []
    for op in (ops.deform_conv2d, torchvision.ops.deform_conv2d):
        given = [None if t is None else t.clone().requires_grad_() for t in tensors]
        out = op(*given[:4], *geometry, given[4])
        grad = torch.randn(out.shape, generator=torch.Generator().manual_seed(0)).to(out)
        expected = [t for t in given if t is not None]
        results.append([out, *torch.autograd.grad(out, expected, grad)])
    for ours, theirs in zip(*results, strict=True):
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    batch=st.integers(1, 3),
    groups=st.integers(1, 3),
    offset_groups=st.integers(1, 3),
    wide=st.sampled_from([1, 2, 9, 17]),
    outs=st.sampled_from([1, 3, 20]),
    kernel=pairs,
    stride=pairs,
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    dilation=pairs,
    size=st.tuples(st.integers(1, 16), st.integers(1, 16)),
    with_bias=st.booleans(),
    with_mask=st.booleans(),
    last=st.booleans(),
    whole=st.booleans(),
)
def test_any_shape(seed, batch, groups, offset_groups, wide, outs, kernel, stride, padding,
                   dilation, size, with_bias, with_mask, last, whole):  # fmt: skip
    out_size = [
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, d, k, s in zip(size, padding, dilation, kernel, stride, strict=True)
    ]
    assume(min(out_size) > 0)
    g = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(shape, generator=g, dtype=torch.float64)

    channels, taps = groups * offset_groups * wide, kernel[0] * kernel[1]
    x = draw(batch, channels, *size)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    offset = draw(batch, 2 * offset_groups * taps, *out_size) * 3
    offset = offset.round() if whole else offset
    weight = draw(groups * outs, channels // groups, *kernel)
    bias = draw(groups * outs) if with_bias else None
    mask = draw(batch, offset_groups * taps, *out_size) if with_mask else None
    check([x, offset, weight, bias, mask], (stride, padding, dilation), tolerance=1e-9)


def test_single_precision():
    g = torch.Generator().manual_seed(0)
    x, offset = torch.randn(2, 64, 25, 31, generator=g), torch.randn(2, 36, 25, 31, generator=g)
    weight, mask = torch.randn(70, 32, 3, 3, generator=g), torch.rand(2, 18, 25, 31, generator=g)
    # Sums of up to 1550 products of numbers near 1.
    check([x, offset * 3, weight, None, mask], (1, 1, 1), tolerance=2e-3)


def test_module():
    theirs = torchvision.ops.DeformConv2d(6, 8, (3, 1), stride=2, padding=(1, 0), groups=2)
    ours = nn.DeformConv2d(6, 8, (3, 1), stride=2, padding=(1, 0), groups=2)
    ours.load_state_dict(theirs.state_dict())
    assert repr(ours) == repr(theirs)
    x, offset, mask = torch.randn(2, 6, 9, 8), torch.randn(2, 6, 5, 4), torch.rand(2, 3, 5, 4)
    torch.testing.assert_close(ours(x, offset, mask), theirs(x, offset, mask))


def test_module_starts_as_theirs():
    torch.manual_seed(0)
    theirs = torchvision.ops.DeformConv2d(6, 8, 3).state_dict()
    torch.manual_seed(0)
    ours = nn.DeformConv2d(6, 8, 3).state_dict()
    assert theirs.keys() == ours.keys()
    assert all(torch.equal(theirs[k], ours[k]) for k in ours)
