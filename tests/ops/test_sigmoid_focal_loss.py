"""sigmoid_focal_loss against its definition, computed in float64."""

import math

import pytest
import torch
from torch.library import opcheck

from fastcv.ops import sigmoid_focal_loss

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
# Beside the results' own rounding: float32 arithmetic, and gamma by way of a logarithm.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}


def definition(x, t, alpha, gamma):
    """-alpha_t (1 - p_t)^gamma log(p_t), its two terms weighed by t."""
    log_p, log_rest = torch.nn.functional.logsigmoid(x), torch.nn.functional.logsigmoid(-x)
    q = x.sigmoid() * (1 - t) + (-x).sigmoid() * t
    alpha_t = 1.0 if alpha < 0 else alpha * t + (1 - alpha) * (1 - t)
    return -alpha_t * q**gamma * (t * log_p + (1 - t) * log_rest)


def logits_and_targets(shape, dtype, soft, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = (5 * torch.randn(shape, generator=g)).to(dtype)
    t = torch.rand(shape, generator=g)
    return x, t.to(dtype) if soft else (t > 0.7).to(dtype)


def close(got, expected, dtype):
    error = TOLERANCE[dtype]
    torch.testing.assert_close(got.cpu().double(), expected, rtol=error, atol=error / 1000)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("alpha, gamma", [(0.25, 2), (-1, 2), (0.6, 1.5), (0.25, 0.5), (0.0, 0)])
def test_matches_the_definition(device, dtype, soft, alpha, gamma):
    x, t = logits_and_targets((53, 41), dtype, soft)  # more than a block, and no whole vectors
    x64 = x.double().requires_grad_()
    expected = definition(x64, t.double(), alpha, gamma)
    grad = torch.linspace(-1, 2, expected.numel()).reshape(expected.shape)
    (expected_grad,) = torch.autograd.grad(expected, x64, grad.double(), retain_graph=True)
    (expected_of_sum,) = torch.autograd.grad(expected.sum(), x64)

    x, t = x.to(device).requires_grad_(), t.to(device)
    loss = sigmoid_focal_loss(x, t, alpha, gamma)
    assert loss.dtype == dtype and loss.shape == x.shape
    close(loss.detach(), expected.detach(), dtype)
    (got,) = torch.autograd.grad(loss, x, grad.to(dtype).to(device))
    assert got.dtype == dtype
    torch.testing.assert_close(
        got.cpu().double(), expected_grad, rtol=2 * TOLERANCE[dtype], atol=1e-6
    )

    total = sigmoid_focal_loss(x, t, alpha, gamma, "sum")
    assert total.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(
        total.detach().cpu().double(), expected.detach().sum(), rtol=2e-6, atol=0
    )
    close(torch.autograd.grad(total, x)[0], expected_of_sum, dtype)
    mean = sigmoid_focal_loss(x, t, alpha, gamma, "mean")
    torch.testing.assert_close(mean.detach(), total.detach() / x.numel())


@pytest.mark.parametrize("target_dtype", [torch.bool, torch.uint8, torch.int32, torch.int64])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_hard_targets_of_any_dtype(device, target_dtype, dtype):
    x, t = logits_and_targets((3000,), dtype, soft=False)
    x, t = x.to(device).requires_grad_(), t.to(device)
    expected = sigmoid_focal_loss(x, t)
    got = sigmoid_focal_loss(x, t.to(target_dtype))
    assert torch.equal(got, expected)
    ones = torch.ones_like(x)
    (g1,), (g2,) = (torch.autograd.grad(loss, x, ones) for loss in (got, expected))
    assert torch.equal(g1, g2)


def test_soft_targets_keep_their_precision(device):
    x, t = logits_and_targets((100,), torch.float16, soft=False)
    t = torch.rand(100)
    expected = definition(x.double(), t.double(), 0.25, 2).sum()
    got = sigmoid_focal_loss(x.to(device), t.to(device), reduction="sum")
    torch.testing.assert_close(got.cpu().double(), expected, rtol=1e-6, atol=0)


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
    x, t = (a.to(device) for a in logits_and_targets((4, 6, 20, 30), torch.float32, soft=True))
    t = t.transpose(2, 3).contiguous().transpose(2, 3)  # in another order than x
    x, t = view(x), view(t)
    dense = x.contiguous().requires_grad_()
    expected = sigmoid_focal_loss(dense, t.contiguous())
    x = x.detach().requires_grad_()
    loss = sigmoid_focal_loss(x, t)
    assert torch.equal(loss, expected) and loss.stride() == torch.empty_like(x).stride()
    grad = torch.randn(x.shape, device=device).transpose(0, 1).contiguous().transpose(0, 1)
    (got,), (want,) = torch.autograd.grad(loss, x, grad), torch.autograd.grad(expected, dense, grad)
    assert torch.equal(got, want)
    total = sigmoid_focal_loss(x, t, reduction="sum")
    torch.testing.assert_close(total, expected.sum(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("size", [40.0, 80.0, 90.0, 1e4, 6e4])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gamma", [2, 0.5])
def test_far_logits(device, size, dtype, gamma):
    x = torch.tensor([size, -size, size, -size, 0.0], device=device, dtype=dtype).requires_grad_()
    t = torch.tensor([1, 0, 0, 1, 1], device=device)
    loss = sigmoid_focal_loss(x, t, 0.25, gamma)
    (grad,) = torch.autograd.grad(loss.float().sum(), x)
    close(loss.detach()[:4], definition(x.detach().double(), t, 0.25, gamma).cpu()[:4], dtype)
    # What is right has no slope; what is wrong has all of it.
    close(grad[2:4], torch.tensor([0.75, -0.25], dtype=torch.float64), dtype)
    assert (grad[:2].abs() <= 1e-8**gamma).all() and torch.isfinite(grad).all()


def test_digits_of_what_is_nearly_right(device):
    # p_t = 1 - 4.5e-5: in float32, 1 - p_t from p_t would have three digits left.
    x = torch.tensor([10.0, -10.0], device=device).requires_grad_()
    t = torch.tensor([1, 0], device=device)
    loss = sigmoid_focal_loss(x, t, -1, 2)
    e = math.exp(-10)
    expected = (e / (1 + e)) ** 2 * math.log1p(e)
    torch.testing.assert_close(
        loss.detach(), torch.full((2,), expected, device=device), rtol=1e-6, atol=0
    )


def test_nan_and_infinity(device):
    inf = math.inf
    x = torch.tensor([math.nan, inf, -inf, inf, -inf], device=device).requires_grad_()
    loss = sigmoid_focal_loss(x, torch.tensor([1, 1, 0, 0, 1], device=device))
    (grad,) = torch.autograd.grad(loss.sum(), x)
    assert loss[0].isnan() and grad[0].isnan()
    assert (loss[1:3].abs() < 1e-30).all() and (grad[1:3].abs() < 1e-30).all()
    assert (loss[3:] > 1e37).all()
    torch.testing.assert_close(grad[3:], torch.tensor([0.75, -0.25], device=device))


@pytest.mark.parametrize("shape", [(50,), (50, 1), (1, 80), (50, 80), ()])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bool, torch.int64, torch.float64])
def test_weight(device, shape, dtype):
    x, t = (a.to(device) for a in logits_and_targets((50, 80), torch.float32, soft=False))
    weight = (torch.rand(shape, device=device) * 3).to(dtype)
    x.requires_grad_()
    factors = weight.float().reshape(shape if len(shape) != 1 else (50, 1))
    expected = sigmoid_focal_loss(x, t) * factors
    for reduction, result in (
        ("none", expected),
        ("sum", expected.sum()),
        ("mean", expected.mean()),
    ):
        loss = sigmoid_focal_loss(x, t, reduction=reduction, weight=weight)
        torch.testing.assert_close(loss, result, rtol=1e-5, atol=1e-7)
        got, want = (torch.autograd.grad(y.sum(), x, retain_graph=True)[0] for y in (loss, result))
        torch.testing.assert_close(got, want, rtol=1e-5, atol=1e-9)


def test_weight_of_a_permuted_input(device):
    x, t = (a.to(device) for a in logits_and_targets((6, 50, 8), torch.float32, soft=False))
    weight = torch.rand(50, 6, device=device)
    y = x.transpose(0, 1)
    got = sigmoid_focal_loss(y, t.transpose(0, 1), weight=weight)
    torch.testing.assert_close(got, sigmoid_focal_loss(y, t.transpose(0, 1)) * weight[..., None])


def test_weight_of_zero_leaves_out_even_nan(device):
    x = torch.tensor([[math.nan, math.inf], [0.0, 0.0]], device=device, requires_grad=True)
    mask = torch.tensor([False, True], device=device)
    loss = sigmoid_focal_loss(x, torch.zeros(2, 2, device=device), reduction="sum", weight=mask)
    torch.testing.assert_close(loss.item(), 2 * 0.75 * 0.25 * math.log(2))
    loss.backward()
    assert (x.grad[0] == 0).all() and (x.grad[1] > 0).all()


@pytest.mark.parametrize(
    "normalizer", [4, 4.0, torch.tensor(4), torch.tensor([4.0]), torch.tensor(4.0).double()]
)
def test_normalizer(device, normalizer):
    x, t = (a.to(device) for a in logits_and_targets((30, 8), torch.float32, soft=False))
    if isinstance(normalizer, torch.Tensor):
        normalizer = normalizer.to(device)
    x.requires_grad_()
    expected = sigmoid_focal_loss(x, t, reduction="sum") / 4
    loss = sigmoid_focal_loss(x, t, reduction="sum", normalizer=normalizer)
    assert loss.dtype == torch.float32 and loss.shape == ()
    torch.testing.assert_close(loss, expected)
    got, want = (torch.autograd.grad(y, x)[0] for y in (loss, expected))
    torch.testing.assert_close(got, want)


def test_the_same_bits_for_any_number_of_threads():
    x, t = logits_and_targets((40_000, 11), torch.float32, soft=True)
    before = torch.get_num_threads()
    sums = set()
    for threads in (1, 2, 3, 7):
        torch.set_num_threads(threads)
        sums.add(sigmoid_focal_loss(x, t, reduction="sum").item())
    torch.set_num_threads(before)
    assert len(sums) == 1


def test_a_long_sum_keeps_its_digits(device):
    x, t = logits_and_targets((3_000_000,), torch.float32, soft=False)
    expected = definition(x.double(), t.double(), 0.25, 2).sum()
    got = sigmoid_focal_loss(x.to(device), t.to(device), reduction="sum")
    torch.testing.assert_close(got.cpu().double(), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("shape", [(0,), (0, 80), (5, 0), (2, 0, 3)])
def test_empty(device, shape):
    x = torch.zeros(shape, device=device, requires_grad=True)
    assert sigmoid_focal_loss(x, x.detach()).shape == shape
    total = sigmoid_focal_loss(x, x.detach(), reduction="sum")
    assert total == 0 and sigmoid_focal_loss(x, x.detach(), reduction="mean").isnan()
    total.backward()
    assert x.grad.shape == shape


def test_scalar(device):
    x = torch.tensor(0.0, device=device)
    expected = torch.tensor(0.25 * 0.25 * math.log(2), device=device)
    torch.testing.assert_close(sigmoid_focal_loss(x, torch.ones_like(x)), expected)


@pytest.mark.parametrize("gamma", [2.0, 1.5, 0.0])
def test_gradcheck(device, gamma):
    x = torch.randn(4, 3, dtype=torch.float64, device=device, requires_grad=True)
    t = torch.rand(4, 3, dtype=torch.float64, device=device)
    weight = torch.rand(4, dtype=torch.float64, device=device)
    for reduction in ("none", "mean"):

        def call(x, reduction=reduction):
            return sigmoid_focal_loss(x, t, 0.3, gamma, reduction, weight=weight)

        assert torch.autograd.gradcheck(call, x)
        assert torch.autograd.gradgradcheck(call, x)


def test_opcheck(device):
    x = torch.randn(4, 3, device=device, requires_grad=True)
    t = torch.rand(4, 3, device=device)
    weight = torch.rand(4, device=device)
    for reduce in (False, True):
        opcheck(torch.ops.fastcv.sigmoid_focal_loss, (x, t, 0.25, 2.0, weight, reduce))
    grad = torch.randn(4, 3, device=device, requires_grad=True)
    op = torch.ops.fastcv._sigmoid_focal_loss_backward
    opcheck(op, (grad, x, t, 0.25, 1.5, None))


def test_compiles_whole(device):
    x, t = (a.to(device) for a in logits_and_targets((30, 8), torch.float32, soft=False))
    x.requires_grad_()

    def call(x, t, weight, count):
        return sigmoid_focal_loss(x, t, reduction="sum", weight=weight, normalizer=count)

    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    weight, count = torch.rand(30, device=device), torch.tensor(3, device=device)
    got, want = compiled(x, t, weight, count), call(x, t, weight, count)
    assert torch.equal(got, want)
    assert torch.equal(torch.autograd.grad(got, x)[0], torch.autograd.grad(want, x)[0])


def test_autocast_leaves_the_dtype(device):
    x = torch.randn(3, 4, device=device, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        total = sigmoid_focal_loss(x, torch.rand(3, 4, device=device), reduction="sum")
    assert total.dtype == torch.float32
    total.backward()
    assert x.grad.dtype == torch.bfloat16


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"inputs": torch.zeros(2, 3).long()}, RuntimeError, "inputs must be float64.*got Long"),
        ({"targets": torch.zeros(3, 2)}, RuntimeError, r"targets must have the shape of inputs"),
        ({"targets": torch.zeros(2, 3).cfloat()}, RuntimeError, "targets must be real"),
        ({"alpha": 1.5}, RuntimeError, r"alpha must be in \[0, 1\], or -1 for none, got 1.5"),
        ({"alpha": math.nan}, RuntimeError, "alpha must be"),
        ({"gamma": -1.0}, RuntimeError, "gamma must be a number >= 0, got -1"),
        ({"gamma": math.inf}, RuntimeError, "gamma must be"),
        ({"weight": torch.zeros(3)}, RuntimeError, r"weight must have the first dimensions of"),
        ({"weight": torch.zeros(2, 3, 1)}, RuntimeError, r"weight must have the first dimensions"),
        ({"reduction": "avg"}, ValueError, "reduction must be 'none', 'mean' or 'sum', got 'avg'"),
        ({"normalizer": 2}, ValueError, "normalizer is for reduction='sum', got 'none'"),
        (
            {"normalizer": torch.ones(2), "reduction": "sum"},
            ValueError,
            r"normalizer must be a scalar, got a tensor of shape \[2\]",
        ),
        (
            {"targets": torch.zeros(2, 3, requires_grad=True)},
            ValueError,
            "targets gets no gradient and must not require one",
        ),
    ],
)
def test_refuses(device, change, error, message):
    arguments = {"inputs": torch.zeros(2, 3), "targets": torch.zeros(2, 3), **change}
    arguments = {
        k: v.to(device).detach().requires_grad_(v.requires_grad) if torch.is_tensor(v) else v
        for k, v in arguments.items()
    }
    with pytest.raises(error, match=f"sigmoid_focal_loss: {message}"):
        sigmoid_focal_loss(**arguments)


def test_backward_refuses_a_gradient_that_does_not_fit(device):
    x = torch.zeros(2, 3, device=device)
    with pytest.raises(
        RuntimeError, match=r"grad must have the shape of inputs, \[2, 3\], or \[\]"
    ):
        torch.ops.fastcv._sigmoid_focal_loss_backward(x[0], x, x, 0.25, 2.0, None)
