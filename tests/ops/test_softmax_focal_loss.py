"""softmax_focal_loss against its definition, computed in float64."""

import math

import pytest
import torch
from torch.library import opcheck

from fastcv.ops import softmax_focal_loss

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}


def definition(x, t, alpha, gamma):
    """-sum_c alpha_c t_c (1 - p_c)^gamma log(p_c) of each row, one after the other."""
    losses = []
    for row, target in zip(x, t, strict=True):
        log_p = row - row.logsumexp(0)
        if t.dim() == 1:
            if target == -100:
                losses.append(row.new_zeros(()))
                continue
            target = torch.nn.functional.one_hot(target.long(), len(row)).to(row)
        of_class = alpha * target * (1 - log_p.exp()).clamp(min=1e-300) ** gamma * log_p
        losses.append(-of_class.sum())
    return torch.stack(losses)


def rows(n, classes, dtype, soft, seed=0):
    g = torch.Generator().manual_seed(seed)
    x = (3 * torch.randn(n, classes, generator=g)).to(dtype)
    if soft:
        return x, torch.rand(n, classes, generator=g).to(dtype)
    t = torch.randint(classes, (n,), generator=g)
    t[3::7] = -100
    return x, t


def close(got, expected, dtype):
    error = TOLERANCE[dtype]
    size = expected.abs().max().item()  # a gradient is a difference of terms of any size
    torch.testing.assert_close(
        got.cpu().double(), expected, rtol=error, atol=error / 10 * max(size, 1)
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("classes", [2, 21, 1030])  # the last: more than are in cache at a time
@pytest.mark.parametrize("by_class, gamma", [(True, 2), (False, 1.5), (False, 0)])
def test_matches_the_definition(device, dtype, soft, classes, by_class, gamma):
    x, t = rows(37, classes, dtype, soft)
    alpha = torch.rand(classes, generator=torch.Generator().manual_seed(1)) if by_class else 0.7
    x64 = x.double().requires_grad_()
    factors = alpha.double() if by_class else alpha
    expected = definition(x64, t.double() if soft else t, factors, gamma)
    grad = torch.linspace(-1, 2, 37)
    (expected_grad,) = torch.autograd.grad(expected, x64, grad.double(), retain_graph=True)
    (expected_of_sum,) = torch.autograd.grad(expected.sum(), x64)

    x, t = x.to(device).requires_grad_(), t.to(device)
    alpha = alpha.to(device) if by_class else alpha
    loss = softmax_focal_loss(x, t, alpha, gamma)
    assert loss.dtype == dtype and loss.shape == (37,)
    close(loss.detach(), expected.detach(), dtype)
    (got,) = torch.autograd.grad(loss, x, grad.to(dtype).to(device))
    assert got.dtype == dtype
    close(got, expected_grad, dtype)

    total = softmax_focal_loss(x, t, alpha, gamma, "sum")
    assert total.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    torch.testing.assert_close(
        total.detach().cpu().double(), expected.detach().sum(), rtol=5e-6, atol=0
    )
    close(torch.autograd.grad(total, x)[0], expected_of_sum, dtype)
    mean = softmax_focal_loss(x, t, alpha, gamma, "mean")
    count = 37 if soft else int((t != -100).sum())
    torch.testing.assert_close(mean.detach(), total.detach() / count)


def test_gamma_of_zero_is_cross_entropy(device):
    x, t = (a.to(device) for a in rows(50, 7, torch.float32, soft=False))
    for reduction in ("none", "sum", "mean"):
        expected = torch.nn.functional.cross_entropy(x, t, reduction=reduction)
        torch.testing.assert_close(softmax_focal_loss(x, t, gamma=0, reduction=reduction), expected)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(
    "view",
    [lambda x: x.t().contiguous().t(), lambda x: x[::2, ::3], lambda x: x[:1].expand(35, -1)],
    ids=["transposed", "strided", "expanded"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_any_strides(device, soft, view, dtype):
    x, t = rows(70, 12, dtype, soft)
    x = view(x.to(device)).requires_grad_()
    t = view(t.to(device)) if soft else t.to(device)[: len(x)]
    if not soft:
        t = t.clamp(max=x.shape[1] - 1)
    dense = x.detach().contiguous().requires_grad_()
    loss, expected = softmax_focal_loss(x, t), softmax_focal_loss(dense, t.contiguous())
    assert torch.equal(loss, expected)
    grad = torch.randn(len(x), device=device, dtype=dtype)
    (got,), (want,) = torch.autograd.grad(loss, x, grad), torch.autograd.grad(expected, dense, grad)
    assert torch.equal(got, want) and got.stride() == torch.empty_like(x.detach()).stride()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.int16])
def test_indices_of_any_dtype(device, dtype):
    x, t = rows(50, 7, torch.float32, soft=False)
    x, t = x.to(device), t.to(device).clamp(min=0)
    assert torch.equal(softmax_focal_loss(x, t.to(dtype)), softmax_focal_loss(x, t))


def test_ignored_rows_count_for_nothing(device):
    x, t = (a.to(device) for a in rows(50, 7, torch.float32, soft=False))
    ignored = t == -100
    x[ignored] = math.nan
    x.requires_grad_()
    loss = softmax_focal_loss(x, t, reduction="mean")
    expected = softmax_focal_loss(x.detach()[~ignored], t[~ignored], reduction="mean")
    torch.testing.assert_close(loss.detach(), expected)
    loss.backward()
    assert (x.grad[ignored] == 0).all() and (x.grad[~ignored] != 0).any()
    assert torch.equal(softmax_focal_loss(x, t, ignore_index=-100) == 0, ignored)
    with_another = torch.where(ignored, 3, t)
    assert (softmax_focal_loss(x, with_another, ignore_index=3)[ignored] == 0).all()


def test_all_ignored_is_nan(device):
    x = torch.randn(3, 4, device=device)
    t = torch.full((3,), -100, device=device)
    assert softmax_focal_loss(x, t, reduction="mean").isnan()
    assert softmax_focal_loss(x, t, reduction="sum") == 0


@pytest.mark.parametrize("size", [40.0, 100.0, 1e4, 3e4])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("gamma", [2, 0.5])
@pytest.mark.parametrize("soft", [False, True])
def test_far_logits(device, size, dtype, gamma, soft):
    x = torch.tensor([[size, -size, 0.0], [-size, size, 0.0]], device=device, dtype=dtype)
    x.requires_grad_()
    t = torch.tensor([0, 0], device=device)
    if soft:
        t = torch.nn.functional.one_hot(t, 3).to(dtype)
    loss = softmax_focal_loss(x, t, gamma=gamma)
    (grad,) = torch.autograd.grad(loss.float().sum(), x)
    assert loss[0] < 1e-4 and grad[0].abs().max() < 1e-4
    close(loss.detach()[1:], torch.tensor([2 * size], dtype=torch.float64), dtype)
    close(grad[1], torch.tensor([-1.0, 1.0, 0.0], dtype=torch.float64), dtype)


def test_digits_of_what_is_nearly_right(device):
    x = torch.tensor([[12.0, 0.0, 0.0]], device=device)
    loss = softmax_focal_loss(x, torch.tensor([0], device=device))
    rest = 2 * math.exp(-12)
    expected = (rest / (1 + rest)) ** 2 * math.log1p(rest)
    torch.testing.assert_close(loss, torch.tensor([expected], device=device), rtol=2e-6, atol=0)


def test_ties_of_the_largest_logit(device):
    x = torch.zeros(1, 4, device=device, requires_grad=True)
    loss = softmax_focal_loss(x, torch.tensor([2], device=device))
    torch.testing.assert_close(loss.item(), 0.75**2 * math.log(4))
    loss.backward()
    d = -(0.75**2) - 2 * 0.75 * 0.25 * math.log(4)
    expected = torch.tensor([[-d / 4, -d / 4, d * 0.75, -d / 4]], device=device)
    torch.testing.assert_close(x.grad, expected)


def test_nan_and_infinity(device):
    inf, nan = math.inf, math.nan
    x = [[nan, 0.0, 1.0], [inf, 0.0, 1.0], [-inf, 0.0, 1.0], [-inf, -inf, -inf], [0.0, nan, nan]]
    x = torch.tensor(x, device=device, requires_grad=True)
    loss = softmax_focal_loss(x, torch.tensor([1, 1, 1, 1, 0], device=device))
    assert loss.isnan().tolist() == [True, True, False, True, True]
    (grad,) = torch.autograd.grad(loss[2], x)
    assert torch.isfinite(grad[2]).all() and grad[2, 0] == 0
    assert (
        torch.autograd.grad(softmax_focal_loss(x, torch.zeros(5, device=device).long()).sum(), x)[
            0
        ][0]
        .isnan()
        .all()
    )


@pytest.mark.parametrize("shape", [(50,), (50, 1), (), (1, 1)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bool, torch.float64])
@pytest.mark.parametrize("soft", [False, True])
def test_weight(device, shape, dtype, soft):
    x, t = (a.to(device) for a in rows(50, 7, torch.float32, soft))
    weight = (2 * torch.rand(shape, device=device)).to(dtype)
    x.requires_grad_()
    expected = softmax_focal_loss(x, t) * weight.float().reshape(-1)
    loss = softmax_focal_loss(x, t, weight=weight)
    torch.testing.assert_close(loss, expected)
    got, want = (torch.autograd.grad(y.sum(), x, retain_graph=True)[0] for y in (loss, expected))
    torch.testing.assert_close(got, want)
    total = softmax_focal_loss(x, t, reduction="sum", weight=weight, normalizer=torch.tensor(4))
    torch.testing.assert_close(total, expected.sum() / 4)


def test_weight_of_zero_leaves_out_even_nan(device):
    x = torch.tensor([[math.nan, 1.0], [0.0, 0.0]], device=device, requires_grad=True)
    mask, t = torch.tensor([False, True], device=device), torch.tensor([0, 0], device=device)
    loss = softmax_focal_loss(x, t, reduction="sum", weight=mask)
    torch.testing.assert_close(loss.item(), 0.25 * math.log(2))
    loss.backward()
    assert (x.grad[0] == 0).all() and (x.grad[1] != 0).all()


def test_the_same_bits_for_any_number_of_threads():
    x, t = rows(5000, 21, torch.float32, soft=False)
    before = torch.get_num_threads()
    sums = set()
    for threads in (1, 2, 3, 7):
        torch.set_num_threads(threads)
        sums.add(softmax_focal_loss(x, t, reduction="sum").item())
    torch.set_num_threads(before)
    assert len(sums) == 1


@pytest.mark.parametrize("shape", [(0, 5), (0, 0)])
@pytest.mark.parametrize("soft", [False, True])
def test_empty(device, shape, soft):
    x = torch.zeros(shape, device=device, requires_grad=True)
    t = torch.zeros(shape if soft else shape[:1], device=device).to(
        torch.float32 if soft else torch.int64
    )
    assert softmax_focal_loss(x, t).shape == (0,)
    total = softmax_focal_loss(x, t, reduction="sum")
    assert total == 0 and softmax_focal_loss(x, t, reduction="mean").isnan()
    total.backward()
    assert x.grad.shape == shape


@pytest.mark.parametrize("gamma", [2.0, 1.5, 0.0])
@pytest.mark.parametrize("soft", [False, True])
def test_gradcheck(device, gamma, soft):
    x, t = (a.to(device) for a in rows(5, 4, torch.float64, soft))
    x.requires_grad_()
    alpha = torch.rand(4, dtype=torch.float64, device=device)
    weight = torch.rand(5, dtype=torch.float64, device=device)
    for reduction in ("none", "mean"):

        def call(x, reduction=reduction):
            return softmax_focal_loss(x, t, alpha, gamma, reduction, weight=weight)

        assert torch.autograd.gradcheck(call, x)
        assert torch.autograd.gradgradcheck(call, x)


def test_opcheck(device):
    x = torch.randn(4, 3, device=device, requires_grad=True)
    alpha, weight = torch.rand(3, device=device), torch.rand(4, 1, device=device)
    op = torch.ops.fastcv.softmax_focal_loss
    for t in (torch.tensor([0, 2, -100, 1], device=device), torch.rand(4, 3, device=device)):
        for reduce in (False, True):
            opcheck(op, (x, t, 1.0, alpha, 2.0, weight, -100, reduce))
        grad = torch.randn(4, device=device, requires_grad=True)
        backward = torch.ops.fastcv._softmax_focal_loss_backward
        opcheck(backward, (grad, x, t, 0.5, None, 1.5, None, -100))


def test_compiles_whole(device):
    x, t = (a.to(device) for a in rows(30, 8, torch.float32, soft=False))
    x.requires_grad_()

    def call(x, t):
        return softmax_focal_loss(x, t, 0.5, reduction="mean")

    compiled = torch.compile(call, fullgraph=True, backend="aot_eager")
    got, want = compiled(x, t), call(x, t)
    assert torch.equal(got, want)
    assert torch.equal(torch.autograd.grad(got, x)[0], torch.autograd.grad(want, x)[0])


@pytest.mark.parametrize(
    "change, error, message",
    [
        ({"inputs": torch.zeros(2)}, RuntimeError, r"inputs must have shape \[N, C\], got \[2\]"),
        ({"inputs": torch.zeros(2, 3).int()}, RuntimeError, "inputs must be float64"),
        (
            {"targets": torch.zeros(3).long()},
            RuntimeError,
            r"targets must have shape \[2\] or \[2, 3\]",
        ),
        (
            {"targets": torch.zeros(2)},
            RuntimeError,
            "must be class indices of an integer dtype, got Float",
        ),
        (
            {"targets": torch.zeros(2, 3).long()},
            RuntimeError,
            "targets of shape .* must be float64",
        ),
        (
            {"targets": torch.zeros(2, 4)},
            RuntimeError,
            "targets as probabilities must have the shape",
        ),
        ({"alpha": torch.zeros(2)}, RuntimeError, r"alpha must have shape \[C\] with C = 3"),
        ({"gamma": -0.5}, RuntimeError, "gamma must be a number >= 0"),
        ({"weight": torch.zeros(3)}, RuntimeError, "weight must have the first dimensions of"),
        ({"reduction": "max"}, ValueError, "reduction must be 'none', 'mean' or 'sum', got 'max'"),
        ({"normalizer": 3, "reduction": "mean"}, ValueError, "normalizer is for reduction='sum'"),
        (
            {"alpha": torch.zeros(3, requires_grad=True)},
            ValueError,
            "alpha gets no gradient and must not require one",
        ),
    ],
)
def test_refuses(device, change, error, message):
    arguments = {"inputs": torch.zeros(2, 3), "targets": torch.zeros(2).long(), **change}
    arguments = {
        k: v.to(device).detach().requires_grad_(v.requires_grad) if torch.is_tensor(v) else v
        for k, v in arguments.items()
    }
    with pytest.raises(error, match=f"softmax_focal_loss: .*{message}"):
        softmax_focal_loss(**arguments)


@pytest.mark.parametrize("index", [3, -1, 1 << 40])
def test_an_index_that_is_no_class(device, index):
    x, t = torch.zeros(2, 3, device=device), torch.tensor([0, index], device=device)
    if device.type == "cuda":
        assert softmax_focal_loss(x, t).isnan().tolist() == [False, True]
    else:
        with pytest.raises(
            RuntimeError, match=rf"targets\[1\] must be a class below 3 .* got {index}"
        ):
            softmax_focal_loss(x, t)
