"""The CUDA kernels of encode_heatmaps and decode_heatmaps, run on the CPU, against the CPU ops."""

import ctypes

import pytest
import torch

from fastcv.ops import decode_heatmaps, encode_heatmaps

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
# A unit in the dtype's last place, or what another order of sums changes.
CLOSE = {torch.float64: 1e-12, torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}
KINDS = ["gaussian", "cauchy", "quarter"]
NAN = float("nan")


def call(library, op, dtype, tensors, *numbers):
    """Tensors are (inputs, count and sizes, numbers, outputs) in the kernel's order."""
    arguments = []
    for value in (*tensors, *numbers):
        if isinstance(value, torch.Tensor):
            arguments.append(ctypes.c_void_p(value.data_ptr()))
        elif isinstance(value, bool):
            arguments.append(ctypes.c_bool(value))
        else:
            arguments.append(
                (ctypes.c_double if isinstance(value, float) else ctypes.c_int64)(value)
            )
    getattr(library, f"{op}_{str(dtype).removeprefix('torch.')}")(*arguments)


def scales(sigma, kind, scaled):
    """As bump_scales() in csrc/encode_heatmaps/encode_heatmaps.h."""
    cauchy, per_square = kind == "cauchy", 1 / sigma**2
    peak = per_square if cauchy and not scaled else 1.0
    return per_square if cauchy else per_square / 2, peak, cauchy


def check_encode(library, count, size, dtype, kind, scaled):
    g = torch.Generator().manual_seed(count)
    points = torch.rand(count, 2, generator=g) * torch.tensor(size[::-1])
    points[::4, 0] = NAN
    grad = torch.randn(count, *size, generator=g)
    points, grad = (library.guard(t.to(dtype), "an input") for t in (points, grad))
    heatmaps = library.guard(torch.full((count, *size), -1, dtype=dtype), "heatmaps")
    by_points = library.guard(torch.full((count, 2), -1, dtype=dtype), "by_points")
    bump = scales(1.7, kind, scaled)
    call(library, "encode_heatmaps", dtype, (points, count, *size, *bump, heatmaps))
    expected = encode_heatmaps(points, size, 1.7, kind, scaled)
    torch.testing.assert_close(heatmaps, expected, rtol=CLOSE[dtype], atol=1e-6)
    call(library, "encode_heatmaps_backward", dtype, (grad, points, count, *size, *bump, by_points))
    expected = torch.ops.fastcv._encode_heatmaps_backward(grad, points, 1.7, kind, scaled)
    torch.testing.assert_close(by_points, expected, rtol=CLOSE[dtype], atol=1e-5)
    assert not by_points[::4].any()


@pytest.mark.parametrize(
    ("kind", "scaled"), [("gaussian", True), ("cauchy", True), ("cauchy", False)]
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_encode_matches_the_cpu(emulated, dtype, kind, scaled):
    """Packs that cross rows and heatmaps, and one that is cut off."""
    check_encode(emulated("encode_heatmaps"), 9, (5, 7), dtype, kind, scaled)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 1), (16, 16)])
def test_encode_sizes(emulated, size):
    check_encode(emulated("encode_heatmaps"), 3, size, torch.float32, "gaussian", True)


def test_encode_has_no_race(raced):
    check_encode(raced("encode_heatmaps"), 9, (6, 9), torch.float32, "cauchy", True)


def check_decode(library, count, size, dtype, kind):
    g = torch.Generator().manual_seed(count)
    points = torch.rand(count, 2, generator=g) * torch.tensor(size[::-1])
    heatmaps = encode_heatmaps(points, size, 1.5) - 0.1 * torch.rand(count, *size, generator=g)
    heatmaps = (heatmaps * 64).round() / 64  # exact, with ties
    heatmaps.view(count, -1)[1, -1] = NAN
    heatmaps[2:4] = torch.tensor([-1.0, float("inf")])[:, None, None]
    heatmaps = library.guard(heatmaps.to(dtype), "heatmaps")
    found = library.guard(torch.full((count, 2), -9, dtype=dtype), "points")
    scores = library.guard(torch.full((count,), -9, dtype=dtype), "scores")
    call(
        library,
        "decode_heatmaps",
        dtype,
        (heatmaps, count, *size, KINDS.index(kind), found, scores),
    )
    expected, expected_scores = decode_heatmaps(heatmaps, kind)
    assert torch.equal(scores.nan_to_num(-5.0), expected_scores.nan_to_num(-5.0))
    torch.testing.assert_close(found, expected, rtol=CLOSE[dtype], atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_decode_matches_the_cpu(emulated, dtype, kind):
    """Maps of more cells than a block has threads."""
    check_decode(emulated("decode_heatmaps"), 6, (19, 31), dtype, kind)


@pytest.mark.parametrize("size", [(1, 1), (2, 40), (33, 1), (16, 16), (3, 5)])
def test_decode_sizes(emulated, size):
    """Fewer cells than threads, as many, and lines too short for a parabola."""
    check_decode(emulated("decode_heatmaps"), 5, size, torch.float32, "gaussian")


def test_decode_has_no_race(raced):
    check_decode(raced("decode_heatmaps"), 5, (12, 30), torch.float32, "cauchy")
