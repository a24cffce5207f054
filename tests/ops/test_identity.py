import pytest
import torch
from torch.library import opcheck

from fastcv.ops import identity

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3, 0, 2), (2, 3, 5, 7), (70000,)])
def test_copies(device, dtype, shape):
    x = torch.randn(shape, device=device).to(dtype)
    y = identity(x)
    assert torch.equal(y, x)
    assert y.dtype == dtype and y.device == x.device
    assert x.numel() == 0 or y.data_ptr() != x.data_ptr()


def test_keeps_nan_and_inf(device):
    x = torch.tensor([float("nan"), float("inf"), -float("inf"), -0.0], device=device)
    torch.testing.assert_close(identity(x), x, equal_nan=True, rtol=0, atol=0)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.contiguous(memory_format=torch.channels_last),
        lambda x: x.transpose(0, 3),
        lambda x: x[:, ::2, 1:, ::3],
        lambda x: x[:1].expand(4, -1, -1, -1),
    ],
    ids=["channels_last", "transposed", "strided", "expanded"],
)
def test_any_strides(device, view):
    x = view(torch.randn(2, 4, 5, 6, device=device))
    y = identity(x)
    assert torch.equal(y, x)
    assert y.stride() == torch.empty_like(x).stride()


def test_gradient(device):
    x = torch.randn(3, 4, dtype=torch.float64, device=device, requires_grad=True)
    assert torch.autograd.gradcheck(identity, x)
    assert torch.autograd.gradgradcheck(identity, x)


def test_opcheck(device):
    opcheck(torch.ops.fastcv.identity, (torch.randn(2, 3, device=device, requires_grad=True),))


def test_compiles_whole(device):
    x = torch.randn(5, device=device)
    compiled = torch.compile(lambda x: identity(x) * 2, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(x), x * 2)


def test_refuses_integers(device):
    with pytest.raises(RuntimeError, match=r"identity: x must be float64, float32.*got Int"):
        identity(torch.arange(3, dtype=torch.int32, device=device))
