"""encode_heatmaps against its definition, cell by cell."""

import math
import os
import subprocess
import sys

import pytest
import torch
from torch.library import opcheck

from fastcv.ops import encode_heatmaps

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
# Of one rounding to the dtype; and in float32 d^2 / sigma^2 carries 2^-23 of up to 80.
CLOSE = {torch.float64: 1e-12, torch.float32: 3e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}
KINDS = [("gaussian", True), ("gaussian", False), ("cauchy", True), ("cauchy", False)]
NAN, INF = float("nan"), float("inf")


def value(x, y, row, column, sigma, kind, scaled):
    if not (math.isfinite(x) and math.isfinite(y)):
        return 0.0
    d2 = (column - x) ** 2 + (row - y) ** 2
    if kind == "gaussian":
        return math.exp(-d2 / (2 * sigma**2))
    return sigma**2 / (d2 + sigma**2) if scaled else 1 / (d2 + sigma**2)


def oracle(points, size, sigma, kind, scaled):
    flat = points.double().cpu().reshape(-1, 2).tolist()
    maps = [
        [[value(x, y, i, j, sigma, kind, scaled) for j in range(size[1])] for i in range(size[0])]
        for x, y in flat
    ]
    return torch.tensor(maps, dtype=torch.float64).reshape(*points.shape[:-1], *size)


def random_points(*shape, extent=12.0, dtype=torch.float32):
    g = torch.Generator().manual_seed(len(shape))
    return (torch.rand(*shape, 2, generator=g) * extent - 1).to(dtype)


def check(device, points, size, sigma, kind, scaled):
    got = encode_heatmaps(points.to(device), size, sigma, kind, scaled)
    assert got.dtype == points.dtype and got.device.type == device.type and got.is_contiguous()
    torch.testing.assert_close(
        got.double().cpu(),
        oracle(points, size, sigma, kind, scaled),
        rtol=CLOSE[points.dtype],
        atol=1e-7,
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("kind", "scaled"), KINDS)
@pytest.mark.parametrize(("size", "sigma"), [((7, 9), 1.0), ((16, 16), 2.5), ((3, 33), 0.4)])
def test_by_the_definition(device, dtype, kind, scaled, size, sigma):
    check(device, random_points(2, 3, dtype=dtype), size, sigma, kind, scaled)


@pytest.mark.parametrize("shape", [(), (5,), (2, 0), (0,), (1, 2, 3)])
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (6, 1), (4, 17)])
def test_shapes(device, shape, size):
    points = random_points(*shape)
    assert encode_heatmaps(points.to(device), size, 1.5).shape == (*shape, *size)
    if points.numel():
        check(device, points, size, 1.5, "gaussian", True)


@pytest.mark.parametrize(("kind", "scaled"), KINDS)
def test_peaks(kind, scaled):
    """The lecture's Cauchy has a peak of 1 / sigma^2; scaled, it is 1, as of a Gaussian."""
    for sigma in (0.5, 1.0, 2.0, 4.0):
        heatmap = encode_heatmaps(torch.tensor([3.0, 2.0]), (5, 7), sigma, kind, scaled)
        expected = 1 / sigma**2 if (kind, scaled) == ("cauchy", False) else 1.0
        assert heatmap.max() == heatmap[2, 3] == expected


@pytest.mark.parametrize("kind", ["gaussian", "cauchy"])
def test_points_that_are_not_there(device, kind):
    points = torch.tensor([[NAN, 1.0], [1.0, INF], [-INF, NAN], [1.0, 1.0]], device=device)
    heatmaps = encode_heatmaps(points, (3, 4), 1.0, kind)
    assert not heatmaps[:3].any() and heatmaps[3, 1, 1] == 1


@pytest.mark.parametrize("kind", ["gaussian", "cauchy"])
@pytest.mark.parametrize("far", [1e3, 1e18, 1e30, -3e38])
def test_far_points(device, kind, far):
    heatmaps = encode_heatmaps(
        torch.tensor([[far, 0.0], [2.0, far]], device=device), (3, 9), 1.0, kind
    )
    assert heatmaps.isfinite().all() and (heatmaps >= 0).all() and heatmaps.max() < 1e-5


@pytest.mark.parametrize(("kind", "scaled"), KINDS)
def test_gradients(device, kind, scaled):
    points = random_points(2, 2, dtype=torch.float64).to(device).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda p: encode_heatmaps(p, (5, 11), 1.7, kind, scaled), points
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(("kind", "scaled"), KINDS)
def test_gradients_of_other_dtypes(device, dtype, kind, scaled):
    points = random_points(3, dtype=dtype).to(device)
    grad = torch.randn(3, 6, 35, generator=torch.Generator().manual_seed(0)).to(device, dtype)
    args = grad, points, 2.0, kind, scaled
    got = torch.ops.fastcv._encode_heatmaps_backward(*args)
    expected = torch.ops.fastcv._encode_heatmaps_backward(grad.double(), points.double(), *args[2:])
    assert got.dtype == dtype
    torch.testing.assert_close(got.double(), expected, rtol=CLOSE[dtype], atol=1e-5)


def test_no_gradient_of_what_is_not_there(device):
    points = torch.tensor([[NAN, 1.0], [1.0, 1.5]], device=device, requires_grad=True)
    encode_heatmaps(points, (4, 4), 1.0).square().sum().backward()
    assert points.grad[0].tolist() == [0, 0] and points.grad[1].any()


def test_the_gradient_of_the_gradient_is_refused():
    points = torch.rand(2, 2, requires_grad=True)
    (grad,) = torch.autograd.grad(
        encode_heatmaps(points, (3, 3), 1.0).square().sum(), points, create_graph=True
    )
    with pytest.raises(RuntimeError, match="encode_heatmaps: the gradient of its gradient is not"):
        grad.sum().backward()


def test_any_strides(device):
    points = random_points(4, 3).to(device)
    wide = torch.full((3, 4, 5), NAN, device=device)
    wide[..., 1:3] = points.transpose(0, 1)
    strided = wide[..., 1:3].transpose(0, 1)
    assert not strided.is_contiguous()
    expected = encode_heatmaps(points, (6, 6), 1.0)
    assert torch.equal(encode_heatmaps(strided, (6, 6), 1.0), expected)
    grad = torch.rand(6, 6, 3, 4, device=device).permute(3, 2, 0, 1)
    backward = torch.ops.fastcv._encode_heatmaps_backward
    ours = backward(grad, strided, 1.0, "cauchy", True)
    assert torch.equal(ours, backward(grad.contiguous(), points, 1.0, "cauchy", True))


def test_threads_agree():
    points = random_points(40, 5, extent=70.0)
    before, results = torch.get_num_threads(), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(encode_heatmaps(points, (64, 64), 2.0, "cauchy"))
    torch.set_num_threads(before)
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


ISA_PROGRAM = """
import sys, torch
from fastcv.ops import encode_heatmaps
points = (torch.rand(7, 2, generator=torch.Generator().manual_seed(0)) * 20).requires_grad_()
found = []
for kind in ("gaussian", "cauchy"):
    heatmaps = encode_heatmaps(points, (9, 21), 1.5, kind)
    found += [heatmaps.detach(), *torch.autograd.grad(heatmaps.square().sum(), points)]
torch.save(found, sys.argv[1])
"""


def test_every_instruction_set(tmp_path):
    found = []
    for isa in ("portable", "avx2", "avx512"):
        subprocess.run(
            [sys.executable, "-c", ISA_PROGRAM, str(tmp_path / isa)],
            check=True,
            env={**os.environ, "FASTCV_ISA": isa},
        )
        found.append(torch.load(tmp_path / isa, weights_only=True))
    for others in found[1:]:
        torch.testing.assert_close(others, found[0], rtol=1e-5, atol=1e-6)


def test_runs_in_its_dtype_under_autocast(device):
    points = random_points(3).to(device)
    with torch.autocast(device.type, torch.bfloat16):
        assert torch.equal(
            encode_heatmaps(points, (5, 5), 1.0), encode_heatmaps(points, (5, 5), 1.0)
        )
        assert encode_heatmaps(points, (5, 5), 1.0).dtype == torch.float32


def test_opcheck(device):
    points = random_points(2, 3).to(device).requires_grad_()
    opcheck(torch.ops.fastcv.encode_heatmaps, (points, 5, 7, 1.5, "gaussian", True))
    grad = torch.rand(2, 3, 5, 7, device=device)
    args = (grad, points.detach(), 1.5, "cauchy", False)
    opcheck(torch.ops.fastcv._encode_heatmaps_backward, args)


def test_compiles_whole(device):
    points = random_points(4).to(device).requires_grad_()

    def loss(p):
        return encode_heatmaps(p * 2, (6, 8), 1.5).square().sum()

    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    (expected,) = torch.autograd.grad(loss(points), points)
    (got,) = torch.autograd.grad(compiled(points), points)
    torch.testing.assert_close(got, expected)


POINTS = torch.zeros(3, 2)


@pytest.mark.parametrize(
    ("points", "size", "sigma", "kind", "message"),
    [
        (
            torch.zeros(3, 4),
            (5, 5),
            1.0,
            "gaussian",
            r"points must have shape \[..., 2\], got \[3, 4\]",
        ),
        (torch.zeros(()), (5, 5), 1.0, "gaussian", r"points must have shape \[..., 2\], got \[\]"),
        (POINTS.long(), (5, 5), 1.0, "gaussian", "points must be float64, float32.*got Long"),
        (POINTS, (0, 5), 1.0, "gaussian", r"size must be two integers of at least 1, got \[0, 5\]"),
        (POINTS, (5, -1), 1.0, "gaussian", r"size must be two integers of at least 1.*\[5, -1\]"),
        (POINTS, (1 << 20, 1 << 20), 1.0, "gaussian", r"size must be of fewer than 2\^31 cells"),
        (POINTS, (5, 5), 0.0, "gaussian", "sigma must be above 0, got 0"),
        (POINTS, (5, 5), -1.0, "gaussian", "sigma must be above 0, got -1"),
        (POINTS, (5, 5), NAN, "gaussian", "sigma must be above 0, got nan"),
        (POINTS, (5, 5), INF, "cauchy", "sigma must be above 0, got inf"),
        (POINTS, (5, 5), 1.0, "Gaussain", "kind must be 'gaussian' or 'cauchy', got 'Gaussain'"),
    ],
)
def test_refuses(device, points, size, sigma, kind, message):
    with pytest.raises(RuntimeError, match="encode_heatmaps: " + message):
        encode_heatmaps(points.to(device), size, sigma, kind)


@pytest.mark.parametrize(
    ("grad", "message"),
    [
        (torch.zeros(2, 5, 5), "grad must have a heatmap for each point, got shape"),
        (torch.zeros(3, 5), "grad must have a heatmap for each point, got shape"),
        (torch.zeros(3, 5, 5).double(), "grad must have the dtype of points, Float, got Double"),
    ],
)
def test_refuses_gradients(device, grad, message):
    with pytest.raises(RuntimeError, match=message):
        torch.ops.fastcv._encode_heatmaps_backward(
            grad.to(device), POINTS.to(device), 1.0, "gaussian", True
        )
