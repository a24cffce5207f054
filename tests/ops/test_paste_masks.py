"""paste_masks against its definition, pixel by pixel, and its run lengths against pycocotools."""

import os
import subprocess
import sys

import numpy as np
import pycocotools.mask
import pytest
import torch
from torch.library import opcheck

from fastcv.ops import paste_masks

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]
NAN, INF = float("nan"), float("inf")
SIZE = (23, 37)
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


def blobs(n, side, dtype=torch.float32, seed=0):
    """Probabilities as a network's: a blob each, with noise on it."""
    g = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    middle = torch.rand(n, 2, 1, 1, generator=g) * side
    distance = ((y - middle[:, 0]) ** 2 + (x - middle[:, 1]) ** 2).sqrt() / side
    noise = torch.randn(n, side, side, generator=g)
    return (4 - 10 * distance + noise).sigmoid().to(dtype)


def shares(at, side):
    """Of each sample, whose centres are at 0, 1, 2 ...; beyond the outermost it has all."""
    at = min(max(at, 0.0), side - 1.0)
    return np.maximum(0, 1 - np.abs(at - np.arange(side)))


def oracle(mask, box, size, threshold):
    """One mask on the picture, and where its value is so near the threshold that rounding says."""
    scalar = np.float64 if mask.dtype == torch.float64 else np.float32
    side = len(mask) + 2
    padded = torch.nn.functional.pad(mask.double(), (1, 1, 1, 1)).numpy()
    x1, y1, x2, y2 = (scalar(c) for c in box.tolist())
    grown = scalar(side / len(mask))
    half_w, half_h = (x2 - x1) * scalar(0.5) * grown, (y2 - y1) * scalar(0.5) * grown
    x, y = (x2 + x1) * scalar(0.5), (y2 + y1) * scalar(0.5)
    left, top, right, bottom = (int(c) for c in (x - half_w, y - half_h, x + half_w, y + half_h))
    on, tie = torch.zeros(2, *size, dtype=torch.bool)
    for row in range(max(top, 0), min(bottom + 1, size[0])):
        for column in range(max(left, 0), min(right + 1, size[1])):
            v = (row - top + 0.5) * side / (bottom - top + 1) - 0.5
            u = (column - left + 0.5) * side / (right - left + 1) - 0.5
            here = float(shares(v, side) @ padded @ shares(u, side))
            on[row, column], tie[row, column] = here > threshold, abs(here - threshold) < 1e-5
    return on, tie


def decoded(encoded):
    return torch.from_numpy(pycocotools.mask.decode(encoded)).permute(2, 0, 1).bool()


def encoded_by_coco(masks):
    return [pycocotools.mask.encode(np.asfortranarray(m)) for m in masks.cpu().byte().numpy()]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("side", [1, 2, 7])
@pytest.mark.parametrize("threshold", [0.5, 0.2])
def test_by_the_definition(device, dtype, side, threshold):
    masks = blobs(len(BOXES), side, dtype)
    boxes = BOXES.to(dtype)
    got = paste_masks(masks.to(device), boxes.to(device), SIZE, threshold)
    assert got.dtype == torch.bool and got.shape == (len(BOXES), *SIZE)
    assert got.device.type == device.type
    for here, mask, box in zip(got.cpu(), masks, boxes, strict=True):
        expected, tie = oracle(mask, box, SIZE, threshold)
        assert tie.sum() <= 2
        assert torch.equal(here | tie, expected | tie)


def test_boxes_of_another_dtype(device):
    # In float16 pixels beyond 2048 are 2 apart: boxes stay float32 where masks are float16.
    masks = blobs(2, 28, torch.float16)
    boxes = torch.tensor([[2101.3, 3.0, 2149.8, 20.0], [2000.0, 1.0, 2180.0, 22.0]])
    got = paste_masks(masks.to(device), boxes.to(device), (24, 2200))
    wide = paste_masks(masks.float().to(device), boxes.to(device), (24, 2200))
    assert torch.equal(got, wide) and got.any()
    assert not torch.equal(got, paste_masks(masks.to(device), boxes.half().to(device), (24, 2200)))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("threshold", [0.5, 0.1, -1.0, 2.0])
def test_rle_is_cocos_of_the_masks(device, dtype, threshold):
    masks, boxes = blobs(len(BOXES), 14, dtype).to(device), BOXES.to(device)
    expected = encoded_by_coco(paste_masks(masks, boxes, SIZE, threshold))
    assert paste_masks(masks, boxes, SIZE, threshold, out="rle") == expected


@pytest.mark.parametrize("size", [(1, 1), (1, 70), (70, 1), (64, 64), (5, 129), (200, 131)])
def test_rle_in_pictures_of_any_size(device, size):
    """Noise changes at nearly every pixel; and full, all on: runs that go on in the next column."""
    g = torch.Generator().manual_seed(1)
    height, width = size
    masks = torch.rand(6, 28, 28, generator=g)
    masks[3:] = 1.0
    whole = torch.tensor([-0.5, -0.5, width + 0.5, height + 0.5])
    beyond = torch.tensor([-50.0, -50.0, width + 50.0, height + 50.0])
    upper = torch.tensor([-50.0, -50.0, width / 2, height + 50.0])
    boxes = torch.stack([whole, beyond, upper] * 2)
    pasted = paste_masks(masks.to(device), boxes.to(device), size)
    got = paste_masks(masks.to(device), boxes.to(device), size, out="rle")
    assert got == encoded_by_coco(pasted)
    assert torch.equal(decoded(got), pasted.cpu())
    assert pasted[4].all()


def test_a_channel_is_left_out(device):
    masks, boxes = blobs(4, 28).to(device), BOXES[:4].to(device)
    assert torch.equal(paste_masks(masks[:, None], boxes, SIZE), paste_masks(masks, boxes, SIZE))
    assert paste_masks(masks[:, None], boxes, SIZE, out="rle") == paste_masks(
        masks, boxes, SIZE, out="rle"
    )


def test_any_strides(device):
    masks, boxes = blobs(10, 9).to(device), BOXES.to(device)
    expected = paste_masks(masks, boxes, SIZE)
    turned = masks.transpose(1, 2).contiguous().transpose(1, 2)
    wide = torch.full((10, 8), NAN, device=device)
    wide[:, 2:6] = boxes
    assert torch.equal(paste_masks(turned, wide[:, 2:6], SIZE), expected)
    assert torch.equal(decoded(paste_masks(turned, wide[:, 2:6], SIZE, out="rle")), expected.cpu())


def test_none(device):
    masks, boxes = torch.rand(0, 28, 28, device=device), torch.rand(0, 4, device=device)
    assert paste_masks(masks, boxes, (4, 6)).shape == (0, 4, 6)
    assert paste_masks(masks, boxes, (4, 6), out="rle") == []


@pytest.mark.parametrize("bad", [NAN, INF, -INF, 1e30, -1e30])
@pytest.mark.parametrize("place", range(4))
def test_a_box_that_is_nowhere_has_no_pixels(device, bad, place):
    boxes = BOXES[:3].clone()
    boxes[1, place] = bad
    masks = torch.ones(3, 28, 28, device=device)
    got = paste_masks(masks, boxes.to(device), SIZE)
    assert got[0].any() and not got[1].any() and got[2].any()
    encoded = paste_masks(masks, boxes.to(device), SIZE, out="rle")
    assert torch.equal(decoded(encoded), got.cpu())


def test_far_beyond_the_picture(device):
    far = torch.tensor([[3e8, 3e8, 4e8, 4e8], [-4e8, -4e8, 4e8, 4e8]], device=device)
    got = paste_masks(torch.ones(2, 28, 28, device=device), far, SIZE)
    assert not got[0].any() and got[1].all()


def test_nan_is_above_no_threshold(device):
    masks = torch.ones(2, 5, 5, device=device)
    masks[1, 2, 2] = NAN
    boxes = torch.tensor([[2.0, 2.0, 30.0, 20.0]] * 2, device=device)
    whole, holed = paste_masks(masks, boxes, SIZE)
    assert torch.equal(holed & whole, holed) and not torch.equal(holed, whole)
    assert not holed[11, 16] and holed[4, 4]


def test_infinite_values(device):
    masks = torch.full((1, 3, 3), INF, device=device)
    box = torch.tensor([[4.0, 4.0, 16.0, 16.0]], device=device)
    assert not paste_masks(-masks, box, SIZE).any()
    assert paste_masks(masks, box, SIZE).any()


def test_no_gradient(device):
    masks, boxes = blobs(3, 28).to(device).requires_grad_(), BOXES[:3].to(device).requires_grad_()
    assert not paste_masks(masks, boxes, SIZE).requires_grad
    assert len(paste_masks(masks, boxes, SIZE, out="rle")) == 3


def test_threads_agree():
    masks, boxes = blobs(10, 28), BOXES
    before, results = torch.get_num_threads(), []
    for threads in (1, 2, 3):
        torch.set_num_threads(threads)
        pasted = paste_masks(masks, boxes, SIZE)
        results.append((pasted.tolist(), paste_masks(masks, boxes, SIZE, out="rle")))
    torch.set_num_threads(before)
    assert results[0] == results[1] == results[2]


MEMORY_PROGRAM = """
import re
import torch
from fastcv.ops import paste_masks

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) / 1024

def paste(n):
    low = torch.rand(n, 2, generator=g) * torch.tensor([1000.0, 500.0])
    boxes = torch.cat([low, low + 330.0], 1)
    return paste_masks(torch.rand(n, 28, 28, generator=g), boxes, (800, 1333), out="rle")

g = torch.Generator().manual_seed(0)
paste(1)
before = peak()
assert len(paste(100)) == 100
print(peak() - before)
"""


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="peak memory is Linux's")
def test_rle_takes_no_memory_of_the_pictures_size():
    """The 100 masks have 102 MiB; the run lengths of these, all noise, 0.7 MiB."""
    done = subprocess.run(
        [sys.executable, "-c", MEMORY_PROGRAM], check=True, capture_output=True, text=True
    )
    assert float(done.stdout) < 32


ISA_PROGRAM = """
import torch
from fastcv.ops import paste_masks
g = torch.Generator().manual_seed(0)
low = torch.rand(40, 2, generator=g) * 60 - 20
boxes = torch.cat([low, low + 1 + torch.rand(40, 2, generator=g) * 90], 1)
for dtype in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
    masks = torch.rand(40, 28, 28, generator=g).to(dtype)
    print(paste_masks(masks, boxes, (67, 83), out="rle"))
    print(paste_masks(masks, boxes, (67, 83)).nonzero().sum(0))
"""


def test_every_instruction_set_has_the_same_bits():
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
    masks, boxes = blobs(10, 7).to(device), BOXES.to(device)
    opcheck(torch.ops.fastcv.paste_masks, (masks, boxes, *SIZE, 0.5))
    opcheck(torch.ops.fastcv._paste_masks_rle, (masks, boxes, *SIZE, 0.5))


def test_compiles_whole(device):
    masks, boxes = blobs(10, 28).to(device), BOXES.to(device)

    def areas(masks, boxes):
        return paste_masks(masks, boxes, SIZE).sum((1, 2))

    compiled = torch.compile(areas, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(masks, boxes), areas(masks, boxes))


MASKS, SOME = torch.rand(3, 28, 28), torch.rand(3, 4)


@pytest.mark.parametrize(
    ("masks", "boxes", "size", "threshold", "message"),
    [
        (torch.rand(3, 28, 27), SOME, SIZE, 0.5, r"masks must have shape .*got \[3, 28, 27\]"),
        (torch.rand(28, 28), SOME, SIZE, 0.5, r"masks must have shape \[N, M, M\] or \[N, 1, M"),
        (torch.rand(3, 2, 28, 28), SOME, SIZE, 0.5, r"masks must .*got \[3, 2, 28, 28\]"),
        (torch.rand(3, 0, 0), SOME, SIZE, 0.5, r"masks must .*M at least 1, got \[3, 0, 0\]"),
        (MASKS > 0.5, SOME, SIZE, 0.5, "masks must be float64, float32.*got Bool"),
        (MASKS, torch.rand(3, 5), SIZE, 0.5, r"boxes must have shape \[N, 4\], got \[3, 5\]"),
        (MASKS, torch.rand(4), SIZE, 0.5, r"boxes must have shape \[N, 4\], got \[4\]"),
        (MASKS, torch.rand(2, 4), SIZE, 0.5, "boxes must be as many as masks, 3, got 2"),
        (MASKS, SOME.long(), SIZE, 0.5, "boxes must be float64, float32.*got Long"),
        (MASKS, SOME, (0, 5), 0.5, r"size must be two integers of at least 1, got \[0, 5\]"),
        (MASKS, SOME, (5, -1), 0.5, r"size must be two integers of at least 1, got \[5, -1\]"),
        (MASKS, SOME, (65536, 32768), 0.5, r"size must be of fewer than 2\^31 pixels, got \[65"),
        (MASKS, SOME, SIZE, NAN, "threshold must be a number, got nan"),
    ],
)
@pytest.mark.parametrize("out", ["bool", "rle"])
def test_refuses(device, masks, boxes, size, threshold, message, out):
    with pytest.raises(RuntimeError, match="paste_masks: " + message):
        paste_masks(masks.to(device), boxes.to(device), size, threshold, out)


@pytest.mark.parametrize("size", [(5,), (1, 2, 3)])
def test_refuses_sizes_that_are_no_pair(size):
    with pytest.raises(ValueError, match=r"paste_masks: size must be \(height, width\), got"):
        paste_masks(MASKS, SOME, size)


def test_refuses_another_out():
    with pytest.raises(ValueError, match="paste_masks: out must be 'bool' or 'rle', got 'png'"):
        paste_masks(MASKS, SOME, SIZE, out="png")


def test_refuses_shapes_under_compile():
    compiled = torch.compile(lambda m, b: paste_masks(m, b, SIZE), backend="aot_eager")
    with pytest.raises(Exception, match="boxes must be as many as masks, 3, got 2"):
        compiled(MASKS, SOME[:2])


@pytest.mark.cuda
def test_refuses_mixed_devices():
    with pytest.raises(RuntimeError, match="masks and boxes must be on the same device"):
        paste_masks(MASKS.cuda(), SOME, SIZE)
