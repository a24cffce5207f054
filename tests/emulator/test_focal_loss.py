"""The CUDA kernels of the focal losses and their gradients, run on the CPU, against the CPU ops."""

import ctypes

import pytest
import torch

import fastcv.ops  # noqa: F401  (registers torch.ops.fastcv)

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}
ALPHA = 0.25


def wide(dtype):
    return torch.float64 if dtype == torch.float64 else torch.float32


def name_of(dtype):
    return str(dtype).removeprefix("torch.")


def close(got, expected, dtype):
    torch.testing.assert_close(
        got.double(), expected.double(), rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] / 10
    )


class Call:
    """Guarded copies of tensors as arguments for ctypes."""

    def __init__(self, library):
        self.library = library

    def inside(self, t, name):
        # An empty tensor has no memory to guard.
        return t if t is None else self.library.guard(t, name)

    @staticmethod
    def pointer(t):
        return ctypes.c_void_p(0 if t is None else t.data_ptr())


def sigmoid_case(n, dtype, target_dtype):
    g = torch.Generator().manual_seed(n)
    x = (4 * torch.randn(n, generator=g)).to(dtype)
    x[: min(n, 4)] = torch.tensor([0.0, 200.0, -200.0, 30.0]).to(dtype)[: min(n, 4)]
    t = torch.rand(n, generator=g)
    t = t > 0.7 if target_dtype == torch.bool else t.to(target_dtype)
    return x, t, torch.rand(n, generator=g).to(dtype)


def run_sigmoid(library, x, t, gamma, weight, weight_run, grad, skew):
    """Losses, their sum, and gradients from many and from one; `skew` elements off alignment."""
    call = Call(library)
    name = name_of(x.dtype) + ("" if t.dtype == x.dtype else f"_{name_of(t.dtype)}")
    n, acc = x.numel() - skew, wide(x.dtype)
    x, t = call.inside(x, "x")[skew:], call.inside(t, "targets")[skew:]
    weight = call.inside(weight, "weight")
    loss, grad_x, grad_one = (
        call.inside(torch.zeros(n, dtype=x.dtype), name) for name in ("loss", "grad_x", "grad_one")
    )
    parts = call.inside(torch.zeros(n // 4096 + 1, dtype=acc), "parts")
    total = call.inside(torch.zeros((), dtype=acc), "sum")
    grad, one = call.inside(grad[skew:], "grad"), call.inside(torch.tensor(0.5, dtype=acc), "one")
    p = call.pointer
    common = (
        p(x), p(t), p(weight), ctypes.c_int64(weight_run), ctypes.c_int64(n),
        ctypes.c_double(ALPHA), ctypes.c_double(gamma),
    )  # fmt: skip
    forward = getattr(library, f"sigmoid_focal_loss_{name}")
    for reduce in (0, 1):
        forward(*common, ctypes.c_int(reduce), p(loss), p(parts), p(total))
    backward = getattr(library, f"sigmoid_focal_loss_backward_{name}")
    backward(p(grad), p(None), *common, p(grad_x))
    backward(p(None), p(one), *common, p(grad_one))
    return loss, total, grad_x, grad_one


def check_sigmoid(library, n, dtype, target_dtype, gamma=2.0, skew=0, run=None):
    x, t, grad = sigmoid_case(n + skew, dtype, target_dtype)
    weight = None if run is None else torch.rand(n // run).to(wide(dtype)).round(decimals=1)
    got = run_sigmoid(library, x, t, gamma, weight, run or 1, grad, skew)
    x, t, grad = x[skew:], t[skew:], grad[skew:]
    each = None if run is None else weight.repeat_interleave(run)
    ops = torch.ops.fastcv
    close(got[0], ops.sigmoid_focal_loss(x, t, ALPHA, gamma, each, False), dtype)
    close(got[1], ops.sigmoid_focal_loss(x, t, ALPHA, gamma, each, True), wide(dtype))
    close(got[2], ops._sigmoid_focal_loss_backward(grad, x, t, ALPHA, gamma, each), dtype)
    half = torch.tensor(0.5)
    close(got[3], ops._sigmoid_focal_loss_backward(half, x, t, ALPHA, gamma, each), dtype)


@pytest.mark.parametrize(
    "dtype, target_dtype",
    [(d, d) for d in DTYPES] + [(torch.float32, torch.bool), (torch.float16, torch.float32)],
)
@pytest.mark.parametrize("n", [1, 4099])
def test_sigmoid_focal_loss(emulated, dtype, target_dtype, n):
    check_sigmoid(emulated("sigmoid_focal_loss"), n, dtype, target_dtype)


@pytest.mark.parametrize(
    "gamma, skew, run", [(1.5, 0, None), (0.0, 1, 1), (0.5, 0, 1), (2.0, 1, 7), (2.0, 0, 7)]
)
def test_sigmoid_options(emulated, gamma, skew, run):
    for dtype in (torch.float32, torch.float16):
        check_sigmoid(emulated("sigmoid_focal_loss"), 140, dtype, dtype, gamma, skew, run)


def test_sum_of_nothing(emulated):
    library = emulated("sigmoid_focal_loss")
    nothing = torch.zeros(0)
    total = run_sigmoid(library, nothing, nothing, 2.0, None, 1, nothing, 0)[1]
    assert total == 0


def softmax_case(rows, classes, dtype, soft, transposed):
    g = torch.Generator().manual_seed(classes)
    x = (3 * torch.randn(rows, classes, generator=g)).to(dtype)
    x[0, -1] = 60
    if transposed:
        x = x.t().contiguous().t()
    if soft:
        t = torch.rand(rows, classes, generator=g).to(dtype)
        t[:, :: max(classes // 3, 1)] = 0
    else:
        t = torch.randint(classes, (rows,), generator=g)
        t[1::5] = -100
    weight = torch.rand(rows, generator=g).round(decimals=1).to(wide(dtype))
    return x, t, torch.rand(classes, generator=g).to(wide(dtype)), weight


def run_softmax(library, x, t, class_alpha, weight, gamma, grad):
    call = Call(library)
    rows, classes = x.shape
    acc, name = wide(x.dtype), name_of(x.dtype)
    x, t = call.inside(x, "x"), call.inside(t, "targets")
    class_alpha, weight = call.inside(class_alpha, "class_alpha"), call.inside(weight, "weight")
    loss = call.inside(torch.zeros(rows, dtype=x.dtype), "loss")
    parts = call.inside(
        torch.zeros(2 * library.softmax_focal_loss_parts(rows, classes), dtype=acc), "parts"
    )
    total, count = (call.inside(torch.zeros((), dtype=acc), name) for name in ("sum", "count"))
    grad = call.inside(grad, "grad")
    grad_x = call.inside(torch.zeros_like(x), "grad_x")
    p = call.pointer
    soft = t.dim() == 2
    pair = ctypes.c_int64 * 2
    common = (
        p(x), pair(*x.shape), pair(*x.stride()), p(None if soft else t), p(t if soft else None),
        p(class_alpha), p(weight), ctypes.c_double(ALPHA), ctypes.c_double(gamma),
    )  # fmt: skip
    forward = getattr(library, f"softmax_focal_loss_{name}")
    for reduce in (0, 1):
        forward(*common, ctypes.c_int(reduce), p(loss), p(parts), p(total), p(count))
    backward = getattr(library, f"softmax_focal_loss_backward_{name}")
    backward(*common, p(grad), ctypes.c_int64(grad.dim()), p(grad_x))
    return loss, total, count, grad_x


def check_softmax(library, rows, classes, dtype, soft, gamma=2.0, transposed=False, plain=False):
    x, t, class_alpha, weight = softmax_case(rows, classes, dtype, soft, transposed)
    if plain:
        class_alpha = weight = None
    grad = torch.ones((), dtype=wide(dtype)) if plain else weight.flip(0) + 0.5
    loss, total, count, grad_x = run_softmax(library, x, t, class_alpha, weight, gamma, grad)
    options = (x, t, ALPHA, class_alpha, gamma, weight, -100)
    expected, _ = torch.ops.fastcv.softmax_focal_loss(*options, False)
    expected_sum, expected_count = torch.ops.fastcv.softmax_focal_loss(*options, True)
    close(loss, expected, dtype)
    close(total, expected_sum, wide(dtype))
    assert count == expected_count
    expected_grad = torch.ops.fastcv._softmax_focal_loss_backward(grad, *options)
    close(grad_x, expected_grad, dtype)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("classes", [1, 3, 21, 70])
def test_softmax_focal_loss(emulated, soft, dtype, classes):
    check_softmax(emulated("softmax_focal_loss"), 21, classes, dtype, soft)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("gamma, transposed, plain", [(1.5, True, False), (0.0, False, True)])
def test_softmax_options(emulated, soft, gamma, transposed, plain):
    library = emulated("softmax_focal_loss")
    check_softmax(library, 21, 5, torch.float32, soft, gamma, transposed, plain)


def test_an_index_that_is_no_class_gives_nan(emulated):
    library = emulated("softmax_focal_loss")
    x, t = torch.randn(3, 4), torch.tensor([0, 7, -1])
    loss, total, count, grad_x = run_softmax(library, x, t, None, None, 2.0, torch.ones(3))
    assert loss.isnan().tolist() == [False, True, True] and total.isnan() and count == 3
    assert grad_x.isnan().any(1).tolist() == [False, True, True]


def test_no_race(raced):
    check_sigmoid(raced("sigmoid_focal_loss"), 4200, torch.float32, torch.float32)
    check_softmax(raced("softmax_focal_loss"), 9, 5, torch.float32, False)
    check_softmax(raced("softmax_focal_loss"), 9, 5, torch.float32, True)
