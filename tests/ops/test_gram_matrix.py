"""gram_matrix against its definition: the sum over pixels, of every pair of channels."""

import math

import pytest
import torch
from torch.library import opcheck

from fastcv.nn.losses.gram import GramMatrix
from fastcv.ops import gram_matrix

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
FORMATS = [torch.contiguous_format, torch.channels_last]
# Of the largest element: rounding of the result, and of float32 sums.
TOLERANCE = {torch.float64: 1e-13, torch.float32: 2e-6, torch.float16: 1e-3, torch.bfloat16: 8e-3}


def definition(x, normalize=True):
    b, c, h, w = x.shape
    gram = x.new_zeros(b, c, c)
    for y in range(h):
        for column in range(w):
            pixel = x[:, :, y, column]
            gram += pixel[:, :, None] * pixel[:, None, :]
    return gram / (c * h * w) if normalize else gram


def features(shape, dtype, memory_format=torch.contiguous_format):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(shape[1]))
    return x.to(dtype).contiguous(memory_format=memory_format)


def close(got, expected, dtype):
    error = TOLERANCE[dtype] * max(expected.abs().max().item(), 1e-30)
    torch.testing.assert_close(got.detach().cpu().double(), expected, rtol=0, atol=error)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(2, 5, 3, 7), (1, 16, 8, 8), (3, 37, 9, 11), (1, 150, 6, 6)])
@pytest.mark.parametrize("normalize", [True, False])
def test_matches_the_definition(device, memory_format, dtype, shape, normalize):
    x = features(shape, dtype, memory_format)
    expected = definition(x.double(), normalize)
    gram = gram_matrix(x.to(device), normalize)
    assert gram.dtype == dtype and gram.is_contiguous() and torch.equal(gram, gram.mT)
    close(gram, expected, dtype)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("shape", [(1, 20, 70, 90), (5, 40, 50, 50), (1, 800, 5, 5)])
def test_however_the_work_is_split(device, memory_format, shape):
    x = features(shape, torch.float32, memory_format)
    f = x.double().flatten(2)
    close(gram_matrix(x.to(device)), f @ f.mT / math.prod(shape[1:]), torch.float32)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x[:, ::2],
        lambda x: x[..., 1:-1],
        lambda x: x.mT,
        lambda x: x[:1].expand(3, -1, -1, -1),
    ],
    ids=["channels", "columns", "transposed", "expanded"],
)
@pytest.mark.parametrize("memory_format", FORMATS)
def test_any_strides(device, view, memory_format):
    x = view(features((2, 34, 8, 10), torch.float32, memory_format).to(device))
    x = x.detach().requires_grad_()
    gram = gram_matrix(x)
    close(gram, definition(x.detach().cpu().double()), torch.float32)
    weights = torch.randn(gram.shape, generator=torch.Generator().manual_seed(0)).to(device)
    (got,) = torch.autograd.grad(gram, x, weights)
    (want,) = torch.autograd.grad(definition(x), x, weights)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_gradient(device, memory_format, dtype):
    x = features((2, 20, 6, 7), dtype, memory_format)
    x64 = x.double().requires_grad_()
    weights = torch.randn(2, 20, 20, generator=torch.Generator().manual_seed(0)).to(dtype)
    (expected,) = torch.autograd.grad(definition(x64), x64, weights.double())
    x = x.to(device).requires_grad_()
    (grad,) = torch.autograd.grad(gram_matrix(x), x, weights.to(device))
    assert grad.dtype == dtype and grad.is_contiguous(memory_format=memory_format)
    # g + g^T is rounded to the dtype, then added up over 20 channels.
    error = 10 * TOLERANCE[dtype] * expected.abs().max().item()
    torch.testing.assert_close(grad.cpu().double(), expected, rtol=0, atol=error)


@pytest.mark.parametrize("memory_format", FORMATS)
@pytest.mark.parametrize("normalize", [True, False])
def test_gradcheck(device, memory_format, normalize):
    x = torch.randn(2, 3, 4, 2, dtype=torch.float64, device=device)
    x = x.contiguous(memory_format=memory_format).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: gram_matrix(x, normalize), x)
    assert torch.autograd.gradgradcheck(lambda x: gram_matrix(x, normalize), x)


def test_sums_of_half_precision_are_wide(device):
    x = torch.full((1, 2, 300, 300), 2.0, dtype=torch.float16, device=device)
    # 360,000 is more than float16 holds, before it is divided.
    assert torch.equal(gram_matrix(x).cpu(), torch.full((1, 2, 2), 2.0, dtype=torch.float16))


def test_the_same_bits_for_any_number_of_threads():
    before = torch.get_num_threads()
    for shape in ((1, 40, 80, 80), (2, 300, 10, 10)):
        x = features(shape, torch.float32)
        results = []
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(gram_matrix(x))
        torch.set_num_threads(before)
        assert all(torch.equal(r, results[0]) for r in results)


@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4), (2, 3, 0, 4)])
def test_empty(device, shape):
    x = torch.zeros(shape, device=device, requires_grad=True)
    gram = gram_matrix(x)
    assert gram.shape == (shape[0], shape[1], shape[1]) and (gram == 0).all()
    gram.sum().backward()
    assert x.grad.shape == shape


def test_nan_stays_in_its_channel(device):
    x = torch.ones(1, 20, 3, 3, device=device)
    x[0, 4, 1, 1] = math.nan
    gram = gram_matrix(x)[0].isnan()
    assert gram[4].all() and gram[:, 4].all() and gram.sum() == 39


def test_opcheck(device):
    for memory_format in FORMATS:
        x = torch.randn(2, 5, 3, 4, device=device).contiguous(memory_format=memory_format)
        opcheck(torch.ops.fastcv.gram_matrix, (x.requires_grad_(), True))


def test_compiles_whole(device):
    x = torch.randn(2, 5, 3, 4, device=device, requires_grad=True)
    compiled = torch.compile(gram_matrix, fullgraph=True, backend="aot_eager")
    got, want = compiled(x), gram_matrix(x)
    assert torch.equal(got, want)
    assert torch.equal(
        torch.autograd.grad(got.square().sum(), x)[0],
        torch.autograd.grad(want.square().sum(), x)[0],
    )


def test_autocast_leaves_the_dtype(device):
    x = torch.randn(1, 3, 4, 4, device=device)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        assert gram_matrix(x).dtype == torch.float32


def test_module():
    x = torch.randn(2, 5, 3, 4)
    assert torch.equal(GramMatrix(normalize=False)(x), gram_matrix(x, normalize=False))
    assert "normalize=True" in repr(GramMatrix())


def test_refuses(device):
    with pytest.raises(RuntimeError, match=r"gram_matrix: features must have shape \[B, C, H, W\]"):
        gram_matrix(torch.zeros(2, 3, 4, device=device))
    with pytest.raises(RuntimeError, match=r"gram_matrix: features must be float64.*got Int"):
        gram_matrix(torch.zeros(1, 2, 3, 4, device=device).int())
