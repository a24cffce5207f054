"""decode_heatmaps against its definition, map by map, and back from encode_heatmaps."""

import math
import os
import subprocess
import sys

import pytest
import torch
from torch.library import opcheck

from fastcv.ops import decode_heatmaps, encode_heatmaps

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
KINDS = ["gaussian", "cauchy", "quarter"]
NAN, INF = float("nan"), float("inf")
# Of points below 16 or 70 cells, in units of the dtype's last place there: a rounding, half of one,
# and what float32's logarithms are off by.
CLOSE = {torch.float64: 1e-11, torch.float32: 2e-5, torch.float16: 0.04, torch.bfloat16: 0.26}


def top(line, place, kind):
    """Along one line, as the contract says."""
    last, highest = len(line) - 1, line[place]
    if kind == "quarter":
        return place + (0.25 if line[min(place + 1, last)] > line[max(place - 1, 0)] else -0.25)
    if last < 2:
        return place
    middle = min(max(place, 1), last - 1)
    three = [max(line[i], highest * 1e-6) for i in (middle - 1, middle, middle + 1)]
    a, b, c = (math.log(v) if kind == "gaussian" else -1 / v for v in three)
    bend = a - 2 * b + c
    if not bend < 0:
        return place
    return min(max(middle + (a - c) / (2 * bend), place - 0.5), place + 0.5)


def oracle(heatmaps, kind):
    maps = heatmaps.double().cpu().flatten(0, -3).tolist()
    points, scores = [], []
    for rows in maps:
        cells = [v for row in rows for v in row]
        if any(map(math.isnan, cells)):
            points.append((NAN, NAN))
            scores.append(NAN)
            continue
        score = max(cells)
        y, x = divmod(cells.index(score), len(rows[0]))
        usable = 0 < score < INF
        column = [row[x] for row in rows]
        points.append((top(rows[y], x, kind), top(column, y, kind)) if usable else (x, y))
        scores.append(score)
    shape, kind_of = heatmaps.shape[:-2], {"dtype": torch.float64}
    return torch.tensor(points, **kind_of).reshape(*shape, 2), torch.tensor(
        scores, **kind_of
    ).reshape(shape)


def check(device, heatmaps, kind):
    points, scores = decode_heatmaps(heatmaps.to(device), kind)
    assert points.dtype == scores.dtype == heatmaps.dtype
    assert points.device.type == scores.device.type == device.type
    expected = oracle(heatmaps, kind)
    tolerance = CLOSE[heatmaps.dtype]
    for got, want, atol in ((points, expected[0], tolerance), (scores, expected[1], 0)):
        torch.testing.assert_close(got.double().cpu(), want, rtol=0, atol=atol, equal_nan=True)


def bumps(*shape, dtype=torch.float32):
    """Noisy bumps of several widths, which may lie beyond the border."""
    g = torch.Generator().manual_seed(sum(shape))
    *many, height, width = shape
    points = torch.rand(*many, 2, generator=g) * torch.tensor([width + 1, height + 1]) - 1
    heatmaps = encode_heatmaps(points, (height, width), 1.3)
    noise = torch.rand(shape, generator=g) * 0.2 - 0.1
    # Multiples of 1/1024: exact in every dtype but bfloat16, and with ties.
    return ((heatmaps + noise) * 1024).round().div(1024).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "shape", [(5, 3, 16, 16), (20, 7, 9), (30, 3, 3), (4, 64, 70), (9, 2, 5), (9, 6, 1), (3, 1, 1)]
)
def test_by_the_definition(device, dtype, kind, shape):
    check(device, bumps(*shape, dtype=dtype), kind)


@pytest.mark.parametrize("kind", ["gaussian", "cauchy"])
@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0, 3.0, 4.0])
def test_round_trip(device, kind, scaled, sigma):
    """All over the map and its borders, far within a quarter of a cell."""
    side = torch.arange(-0.45, 15.5, 0.35, dtype=torch.float32)
    points = torch.stack(torch.meshgrid(side, side, indexing="xy"), dim=-1).to(device)
    heatmaps = encode_heatmaps(points, (16, 16), sigma, kind, scaled)
    found, scores = decode_heatmaps(heatmaps, kind)
    assert (found - points).abs().max() < 2e-3
    assert torch.equal(scores, heatmaps.amax(dim=(-1, -2)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", ["gaussian", "cauchy"])
@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0])
def test_round_trip_in_16_bits(device, dtype, kind, sigma):
    points = torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) * 16 - 0.5
    points = points.to(dtype).to(device)
    found, _ = decode_heatmaps(encode_heatmaps(points, (16, 16), sigma, kind), kind)
    # Near a wide top bfloat16's steps are as high as a cell's difference.
    assert (found - points).abs().max() < (0.6 if dtype == torch.bfloat16 else 0.2)


@pytest.mark.parametrize("sigma", [1.0, 2.0, 4.0])
def test_quarters_round_trip(sigma):
    side = torch.arange(0.6, 14.45, 0.35)  # at a border a quarter may point outward
    points = torch.stack(torch.meshgrid(side, side, indexing="xy"), dim=-1)
    found, _ = decode_heatmaps(encode_heatmaps(points, (16, 16), sigma), "quarter")
    assert (found - points).abs().max() < 0.2501


@pytest.mark.parametrize("kind", KINDS)
def test_odd_values(device, kind):
    heatmaps = bumps(12, 6, 40)
    heatmaps[0, 3, 7], heatmaps[1, 5, 39], heatmaps[2, 0, 0] = NAN, NAN, INF
    heatmaps[3], heatmaps[4], heatmaps[5] = -INF, 0.0, -1.0
    heatmaps[6], heatmaps[7] = 0.5, NAN
    heatmaps[8] = -1.0
    heatmaps[8, 2, 9] = 1e-30
    heatmaps[9, 1] = -INF
    heatmaps[10], heatmaps[10, 4, 4] = 0.0, 1.0
    heatmaps[11] *= 1e30
    check(device, heatmaps, kind)


@pytest.mark.parametrize("place", [0, 1, 31, 32, 33, 511, 512, 1023, 1024, 2047, 2048, 4094])
def test_the_first_of_equal_ones(device, place):
    """Wherever it lies among the vectors that are read at once."""
    heatmap = torch.zeros(1, 64, 64, device=device)
    heatmap.view(-1)[place:] = -1.0
    heatmap.view(-1)[: place // 2] = -2.0
    points, scores = decode_heatmaps(heatmap, "quarter")
    row, column = divmod(place // 2 if place else 0, 64)
    assert points.tolist() == [[column, row]] and scores.tolist() == [0.0 if place else -1.0]
    heatmap.view(-1)[place:] = 2.0
    points, scores = decode_heatmaps(heatmap, "quarter")
    expected, _ = oracle(heatmap, "quarter")
    assert points.tolist() == expected.tolist() and scores.tolist() == [2]


def test_shapes(device):
    for shape in ((), (0,), (2, 0), (2, 3)):
        points, scores = decode_heatmaps(torch.rand(*shape, 4, 5, device=device))
        assert points.shape == (*shape, 2) and scores.shape == shape


def test_any_strides(device):
    heatmaps = bumps(3, 4, 9, 11).to(device)
    strided = heatmaps.permute(1, 3, 0, 2).contiguous().permute(2, 0, 3, 1)
    assert not strided.is_contiguous()
    for ours, expected in zip(decode_heatmaps(strided), decode_heatmaps(heatmaps), strict=True):
        assert torch.equal(ours, expected)


def test_no_gradient(device):
    heatmaps = bumps(2, 5, 5).to(device).requires_grad_()
    points, scores = decode_heatmaps(heatmaps)
    assert not points.requires_grad and not scores.requires_grad


def test_threads_agree():
    heatmaps = bumps(70, 32, 32)
    before, results = torch.get_num_threads(), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append(decode_heatmaps(heatmaps)[0])
    torch.set_num_threads(before)
    assert torch.equal(results[0], results[1]) and torch.equal(results[0], results[2])


ISA_PROGRAM = """
import torch
from fastcv.ops import decode_heatmaps
heatmaps = torch.rand(60, 13, 37, generator=torch.Generator().manual_seed(0))
for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
    for kind in ("gaussian", "cauchy", "quarter"):
        print([t.tolist() for t in decode_heatmaps(heatmaps.to(dtype), kind)])
"""


def test_every_instruction_set():
    printed = {
        subprocess.run(
            [sys.executable, "-c", ISA_PROGRAM],
            check=True,
            capture_output=True,
            env={**os.environ, "FASTCV_ISA": isa},
        ).stdout
        for isa in ("portable", "avx2", "avx512")
    }
    assert len(printed) == 1 and len(printed.pop()) > 1000


def test_opcheck(device):
    opcheck(torch.ops.fastcv.decode_heatmaps, (bumps(2, 5, 6).to(device), "gaussian"))


def test_compiles_whole(device):
    heatmaps = bumps(4, 6, 8).to(device)
    compiled = torch.compile(
        lambda x: decode_heatmaps(x * 2, "cauchy")[0] + 1, fullgraph=True, backend="aot_eager"
    )
    assert torch.equal(compiled(heatmaps), decode_heatmaps(heatmaps * 2, "cauchy")[0] + 1)


@pytest.mark.parametrize(
    ("heatmaps", "kind", "message"),
    [
        (torch.zeros(4), "gaussian", r"heatmaps must have shape \[..., H, W\].*got \[4\]"),
        (torch.zeros(2, 0, 4), "gaussian", r"H and W at least 1, got \[2, 0, 4\]"),
        (torch.zeros(2, 4, 0), "gaussian", r"H and W at least 1, got \[2, 4, 0\]"),
        (torch.zeros(4, 4).long(), "gaussian", "heatmaps must be float64, float32.*got Long"),
        (torch.zeros(4, 4), "Gaussian", "kind must be 'gaussian', 'cauchy' or 'quarter', got 'Gau"),
    ],
)
def test_refuses(device, heatmaps, kind, message):
    with pytest.raises(RuntimeError, match="decode_heatmaps: .*" + message):
        decode_heatmaps(heatmaps.to(device), kind)
