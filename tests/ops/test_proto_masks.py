"""proto_masks against its definition, pixel by pixel, and its run lengths against pycocotools."""

import math
import os
import subprocess
import sys

import numpy as np
import pycocotools.mask
import pytest
import torch
from torch.library import opcheck
from torch.nn import functional as F

from fastcv.ops import proto_masks

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
NAN, INF = float("nan"), float("inf")
GRID, SIZE = (9, 13), (23, 37)
# On the picture, over its borders, around all of it, beyond it, of no area, inverted.
BOXES = torch.tensor(
    [
        [3.0, 4.0, 20.0, 15.0],
        [-7.3, -4.9, 12.2, 9.1],
        [25.6, 10.4, 50.7, 40.2],
        [-30.0, -20.0, 80.0, 60.0],
        [0.0, 0.0, 37.0, 23.0],
        [-40.0, 2.0, -20.0, 9.0],
        [2.0, 30.0, 9.0, 44.0],
        [12.0, 7.0, 12.0, 7.0],
        [12.3, 7.2, 12.9, 20.4],
        [20.0, 15.0, 3.0, 4.0],
    ]
)


def instances(k, grid=GRID, dtype=torch.float32, n=10, seed=0):
    """Prototypes as a network's, 0 and up, and coefficients in [-1, 1]."""
    g = torch.Generator().manual_seed(seed)
    prototypes = torch.randn(k, *grid, generator=g).mul(2).relu()
    return prototypes.to(dtype), (torch.rand(n, k, generator=g) * 2 - 1).to(dtype)


def sample(prototypes, coefficients, box, y, x, scale):
    """The probability of one sample: the paper's equation 1, and its crop."""
    x1, y1, x2, y2 = box[0] * scale[1], box[1] * scale[0], box[2] * scale[1], box[3] * scale[0]
    if not (x1 - 1 <= x < x2 + 1 and y1 - 1 <= y < y2 + 1):
        return 0.0
    total = sum(c * float(p) for c, p in zip(coefficients, prototypes[:, y, x], strict=True))
    return 1 / (1 + math.exp(-total))


def oracle(prototypes, coefficients, box, size, threshold):
    """One mask, and where its value is so near the threshold that rounding says."""
    rows, columns = prototypes.shape[1:]
    scale = rows / size[0], columns / size[1]
    prototypes, coefficients = prototypes.double().numpy(), coefficients.double().tolist()
    box = box.double().tolist()
    small = [
        [sample(prototypes, coefficients, box, y, x, scale) for x in range(columns)]
        for y in range(rows)
    ]
    on, tie = torch.zeros(2, *size, dtype=torch.bool)
    for row in range(size[0]):
        for column in range(size[1]):
            value = shares((row + 0.5) * scale[0] - 0.5, rows) @ np.array(small)
            value = float(value @ shares((column + 0.5) * scale[1] - 0.5, columns))
            on[row, column], tie[row, column] = value > threshold, abs(value - threshold) < 1e-5
    return on, tie


def shares(at, side):
    """Of each sample, whose centres are at 0, 1, 2 ...; beyond the outermost it has all."""
    at = min(max(at, 0.0), side - 1.0)
    return np.maximum(0, 1 - np.abs(at - np.arange(side)))


def decoded(encoded):
    return torch.from_numpy(pycocotools.mask.decode(encoded)).permute(2, 0, 1).bool()


def encoded_by_coco(masks):
    return [pycocotools.mask.encode(np.asfortranarray(m)) for m in masks.cpu().byte().numpy()]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("threshold", [0.5, 0.2])
def test_by_the_definition(device, dtype, k, threshold):
    prototypes, coefficients = instances(k, dtype=dtype)
    got = proto_masks(
        prototypes.to(device), coefficients.to(device), BOXES.to(device), SIZE, threshold
    )
    assert got.dtype == torch.bool and got.shape == (len(BOXES), *SIZE)
    assert got.device.type == device.type
    for here, weights, box in zip(got.cpu(), coefficients, BOXES, strict=True):
        expected, tie = oracle(prototypes, weights, box, SIZE, threshold)
        if threshold != 0.5:  # where ReLU leaves all prototypes at 0, the probability is one half
            assert tie.sum() <= 2
        assert torch.equal(here | tie, expected | tie)


@pytest.mark.parametrize("grid", [(1, 1), (1, 7), (8, 1), (23, 37), (40, 50), (17, 64)])
@pytest.mark.parametrize("size", [(1, 1), (1, 70), (64, 3), (23, 37)])
def test_is_torchs_chain(device, grid, size):
    """Fewer samples than pixels, as many, and more; rows that no vector fits, and that several do.

    64 random boxes: a value of theirs within 2e-6 of the threshold is a tie.
    """
    g = torch.Generator().manual_seed(1)
    prototypes, coefficients = instances(32, grid, n=64)
    low = (torch.rand(64, 2, generator=g) * 1.4 - 0.2) * torch.tensor([size[1], size[0]])
    high = low + torch.rand(64, 2, generator=g) * torch.tensor([size[1], size[0]])
    boxes = torch.cat([low, high], dim=1)
    small = torch.einsum("nk,khw->nhw", coefficients.double(), prototypes.double()).sigmoid()
    x1, y1, x2, y2 = (boxes * torch.tensor([grid[1] / size[1], grid[0] / size[0]] * 2)).T[
        :, :, None
    ]
    y, x = torch.arange(grid[0]), torch.arange(grid[1])
    inside_y, inside_x = (y >= y1 - 1) & (y < y2 + 1), (x >= x1 - 1) & (x < x2 + 1)
    small = small * (inside_y[:, :, None] & inside_x[:, None, :])
    value = F.interpolate(small[None], size, mode="bilinear", align_corners=False)[0]
    got = proto_masks(prototypes.to(device), coefficients.to(device), boxes.to(device), size).cpu()
    tie = (value - 0.5).abs() < 2e-6
    assert torch.equal(got | tie, (value > 0.5) | tie)
    assert got.any() and (got.logical_not().any() or size == (1, 1))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threshold", [0.45, 0.1, -1.0, 2.0])
def test_rle_is_cocos_of_the_masks(device, dtype, threshold):
    prototypes, coefficients = (t.to(device) for t in instances(4, dtype=dtype))
    arguments = (prototypes, coefficients, BOXES.to(device), SIZE, threshold)
    got = proto_masks(*arguments, out="rle")
    if device.type == "cpu":  # elsewhere a pixel may be rounded to the other side
        assert got == encoded_by_coco(proto_masks(*arguments))
    assert (decoded(got) != proto_masks(*arguments).cpu()).sum() <= 2


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (70, 1), (64, 64), (5, 129), (200, 131)])
def test_rle_in_pictures_of_any_size(size):
    """Noise changes at nearly every sample; and full: runs that go on in the next column."""
    height, width = size
    prototypes, coefficients = instances(3, (28, 28), n=6)
    prototypes[2], coefficients[3:] = 1.0, torch.tensor([0.0, 0.0, 5.0])
    whole = torch.tensor([0.0, 0.0, width, height])
    beyond = torch.tensor([-50.0, -50.0, width + 50.0, height + 50.0])
    upper = torch.tensor([-50.0, -50.0, width / 2, height + 50.0])
    boxes = torch.stack([whole, beyond, upper] * 2)
    masks = proto_masks(prototypes, coefficients, boxes, size)
    got = proto_masks(prototypes, coefficients, boxes, size, out="rle")
    assert got == encoded_by_coco(masks)
    assert torch.equal(decoded(got), masks)
    assert masks[4].all()


def test_boxes_of_another_dtype(device):
    # In float16 pixels beyond 2048 are 2 apart: boxes are read in float32.
    prototypes, coefficients = (t.to(device) for t in instances(4, (12, 1100), torch.float16, 2))
    boxes = torch.tensor([[2101.3, 3.0, 2149.8, 20.0], [2000.0, 1.0, 2181.0, 22.0]], device=device)
    got = proto_masks(prototypes, coefficients, boxes, (24, 2200))
    wide = proto_masks(prototypes.float(), coefficients.float(), boxes, (24, 2200))
    assert torch.equal(got, wide) and got.any()
    assert not torch.equal(got, proto_masks(prototypes, coefficients, boxes.half(), (24, 2200)))


def test_any_strides(device):
    prototypes, coefficients = (t.to(device) for t in instances(6))
    boxes = BOXES.to(device)
    expected = proto_masks(prototypes, coefficients, boxes, SIZE)
    last = prototypes.permute(1, 2, 0).contiguous().permute(2, 0, 1)
    wide = torch.full((10, 8), NAN, device=device)
    wide[:, 2:6] = boxes
    turned = coefficients.T.contiguous().T
    assert torch.equal(proto_masks(last, turned, wide[:, 2:6], SIZE), expected)
    encoded = proto_masks(last, turned, wide[:, 2:6], SIZE, out="rle")
    assert (decoded(encoded) != expected.cpu()).sum() <= 2


def test_none(device):
    prototypes, coefficients = (t.to(device) for t in instances(3, n=0))
    boxes = torch.rand(0, 4, device=device)
    assert proto_masks(prototypes, coefficients, boxes, (4, 6)).shape == (0, 4, 6)
    assert proto_masks(prototypes, coefficients, boxes, (4, 6), out="rle") == []


@pytest.mark.parametrize("place", range(4))
def test_a_box_with_a_nan_has_no_pixels(device, place):
    boxes = BOXES[[0, 3, 4]].clone()
    boxes[1, place] = NAN
    prototypes = torch.ones(1, *GRID, device=device)
    coefficients = torch.ones(3, 1, device=device)
    got = proto_masks(prototypes, coefficients, boxes.to(device), SIZE)
    assert got[0].any() and not got[1].any() and got[2].all()
    encoded = proto_masks(prototypes, coefficients, boxes.to(device), SIZE, out="rle")
    assert torch.equal(decoded(encoded), got.cpu())


@pytest.mark.parametrize("far", [INF, 1e30, 3e9])
def test_boxes_without_end(device, far):
    boxes = torch.tensor([[-far, -far, far, far], [far, far, far, far], [far, 0, -far, 9.0]])
    prototypes, coefficients = torch.ones(1, *GRID), torch.ones(3, 1)
    got = proto_masks(prototypes.to(device), coefficients.to(device), boxes.to(device), SIZE)
    assert got[0].all() and not got[1:].any()


def test_nan_is_above_no_threshold(device):
    prototypes, coefficients = torch.ones(2, *GRID, device=device), torch.ones(2, 2, device=device)
    prototypes[0, 4, 6], coefficients[0, 0] = NAN, 0.0
    coefficients[1, 1] = NAN
    boxes = BOXES[[4, 4]].to(device)
    holed, nothing = proto_masks(prototypes, coefficients, boxes, SIZE)
    assert not holed[11, 18] and holed[2, 2] and not nothing.any()


def test_sums_beyond_exp(device):
    prototypes = torch.full((1, *GRID), 1e4, device=device)
    coefficients = torch.tensor([[1.0], [-1.0], [INF], [-INF]], device=device)
    got = proto_masks(prototypes, coefficients, BOXES[[4] * 4].to(device), SIZE)
    assert got.all(dim=2).all(dim=1).tolist() == [True, False, True, False]
    assert got.any(dim=2).any(dim=1).tolist() == [True, False, True, False]


def test_no_gradient(device):
    prototypes, coefficients = (t.to(device).requires_grad_() for t in instances(3))
    boxes = BOXES.to(device).requires_grad_()
    assert not proto_masks(prototypes, coefficients, boxes, SIZE).requires_grad
    assert len(proto_masks(prototypes, coefficients, boxes, SIZE, out="rle")) == len(BOXES)


def test_threads_agree():
    arguments = (*instances(5), BOXES, SIZE)
    before, results = torch.get_num_threads(), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        results.append((proto_masks(*arguments).tolist(), proto_masks(*arguments, out="rle")))
    torch.set_num_threads(before)
    assert results[0] == results[1] == results[2]


MEMORY_PROGRAM = """
import re
import torch
from fastcv.ops import proto_masks

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

def draw(n):
    low = torch.rand(n, 2, generator=g) * torch.tensor([1000.0, 500.0])
    boxes = torch.cat([low, low + 330.0], 1)
    return proto_masks(prototypes, torch.randn(n, 32, generator=g), boxes, (800, 1333), out="rle")

g = torch.Generator().manual_seed(0)
prototypes = torch.rand(32, 138, 138, generator=g)
draw(1)
before = peak()
assert len(draw(100)) == 100
print(peak() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="peak memory is Linux's")
def test_rle_takes_no_memory_of_the_pictures_size():
    """The 100 masks have 102 MiB."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY_PROGRAM], check=True, capture_output=True, text=True
    )
    assert float(done.stdout) < 32


ISA_PROGRAM = """
import torch
from fastcv.ops import proto_masks
g = torch.Generator().manual_seed(0)
low = torch.rand(40, 2, generator=g) * 60 - 20
boxes = torch.cat([low, low + 1 + torch.rand(40, 2, generator=g) * 90], 1)
for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
    prototypes = torch.rand(7, 28, 45, generator=g).to(dtype)
    coefficients = torch.randn(40, 7, generator=g).to(dtype)
    masks = proto_masks(prototypes, coefficients, boxes, (67, 83))
    print("".join("01"[pixel] for pixel in masks.flatten().tolist()))
"""


def test_instruction_sets_agree_but_for_ties():
    printed = [
        subprocess.run(
            [sys.executable, "-c", ISA_PROGRAM],
            check=True,
            capture_output=True,
            env={**os.environ, "FASTCV_ISA": isa},
        ).stdout
        for isa in ("portable", "avx2", "avx512")
    ]
    one, two, three = (np.frombuffer(text, np.uint8) for text in printed)
    assert len(one) > 4 * 40 * 67 * 83
    assert (one != two).sum() <= 8 and (two != three).sum() <= 8


def test_opcheck(device):
    arguments = (*(t.to(device) for t in instances(3)), BOXES.to(device), *SIZE, 0.5)
    opcheck(torch.ops.fastcv.proto_masks, arguments)
    opcheck(torch.ops.fastcv._proto_masks_rle, arguments)


def test_compiles_whole(device):
    prototypes, coefficients = (t.to(device) for t in instances(3))

    def areas(prototypes, coefficients, boxes):
        return proto_masks(prototypes, coefficients, boxes, SIZE).sum((1, 2))

    arguments = (prototypes, coefficients, BOXES.to(device))
    compiled = torch.compile(areas, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(*arguments), areas(*arguments))


P, C, B = torch.rand(4, 9, 13), torch.rand(3, 4), torch.rand(3, 4)


@pytest.mark.parametrize(
    ("prototypes", "coefficients", "boxes", "size", "threshold", "message"),
    [
        (P[0], C, B, SIZE, 0.5, r"prototypes must have shape \[K, h, w\], .*got \[9, 13\]"),
        (P[None], C, B, SIZE, 0.5, r"prototypes must have shape .*got \[1, 4, 9, 13\]"),
        (P[:0], C[:, :0], B, SIZE, 0.5, r"prototypes must .*each at least 1, got \[0, 9, 13\]"),
        (P[:, :0], C, B, SIZE, 0.5, r"prototypes must .*each at least 1, got \[4, 0, 13\]"),
        (P.int(), C.int(), B, SIZE, 0.5, "prototypes must be float64, float32.*got Int"),
        (P, C[:, :3], B, SIZE, 0.5, r"coefficients must have shape \[N, K\] with K as in prot"),
        (P, C[0], B, SIZE, 0.5, r"coefficients must have shape .*got \[4\]"),
        (P, C.double(), B, SIZE, 0.5, "coefficients must have the dtype of prototypes, Float, got"),
        (P, C, B[:, :3], SIZE, 0.5, r"boxes must have shape \[N, 4\], got \[3, 3\]"),
        (P, C, B[:2], SIZE, 0.5, "boxes must be as many as coefficients, 3, got 2"),
        (P, C, B.long(), SIZE, 0.5, "boxes must be float64, float32.*got Long"),
        (P, C, B, (0, 5), 0.5, r"size must be two integers of at least 1, got \[0, 5\]"),
        (P, C, B, (5, -1), 0.5, r"size must be two integers of at least 1, got \[5, -1\]"),
        (P, C, B, (65536, 32768), 0.5, r"size must be of fewer than 2\^31 pixels, got \[65"),
        (P, C, B, SIZE, NAN, "threshold must be a number, got nan"),
    ],
)
@pytest.mark.parametrize("out", ["bool", "rle"])
def test_refuses(device, prototypes, coefficients, boxes, size, threshold, message, out):
    with pytest.raises(RuntimeError, match="proto_masks: " + message):
        proto_masks(
            prototypes.to(device), coefficients.to(device), boxes.to(device), size, threshold, out
        )


@pytest.mark.parametrize("size", [(5,), (1, 2, 3)])
def test_refuses_sizes_that_are_no_pair(size):
    with pytest.raises(ValueError, match=r"proto_masks: size must be \(height, width\), got"):
        proto_masks(P, C, B, size)


def test_refuses_another_out():
    with pytest.raises(ValueError, match="proto_masks: out must be 'bool' or 'rle', got 'png'"):
        proto_masks(P, C, B, SIZE, out="png")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((P, C, B[:2]), "boxes must be as many as coefficients, 3, got 2"),
        ((P, C[:, :3], B), "coefficients must have shape"),
        ((P, C, B[:, :3]), "boxes must have shape"),
        ((P[0], C, B), "prototypes must have shape"),
    ],
)
def test_refuses_shapes_under_compile(arguments, message):
    compiled = torch.compile(lambda p, c, b: proto_masks(p, c, b, SIZE), backend="aot_eager")
    with pytest.raises(Exception, match=message):
        compiled(*arguments)


@pytest.mark.cuda
def test_refuses_mixed_devices():
    with pytest.raises(RuntimeError, match="prototypes and boxes must be on the same device"):
        proto_masks(P.cuda(), C.cuda(), B, SIZE)
