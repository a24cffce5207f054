"""The CUDA kernels of nms and batched_nms, run on the CPU, against the CPU op."""

import ctypes

import pytest
import torch

from fastcv.ops import batched_nms, nms

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


def run(library, boxes, scores, threshold, groups=None):
    n = len(scores)
    order = scores.sort(stable=True, descending=True)[1]
    keep = library.guard(torch.full((n,), -1), "keep")
    boxes, order = library.guard(boxes, "boxes"), library.guard(order, "order")
    groups = groups if groups is None else library.guard(groups, "groups")
    kernel = getattr(library, f"nms_{str(boxes.dtype).removeprefix('torch.')}")
    kernel.restype = ctypes.c_int64
    pointers = [
        ctypes.c_void_p(t.data_ptr() if t is not None else None) for t in (boxes, order, groups)
    ]
    count = kernel(
        *pointers, ctypes.c_int64(n), ctypes.c_double(threshold), ctypes.c_void_p(keep.data_ptr())
    )
    return keep[:count]


def random_boxes(n, dtype, extent):
    g = torch.Generator().manual_seed(n)
    corner = torch.rand(n, 2, generator=g) * extent
    boxes = torch.cat([corner, corner + 5 + 25 * torch.rand(n, 2, generator=g)], 1)
    return boxes.to(dtype), torch.rand(n, generator=g).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 31, 33, 64, 65, 200])
def test_same_as_the_cpu(emulated, dtype, n):
    library = emulated("nms")
    boxes, scores = random_boxes(n, dtype, 60.0)
    groups = torch.arange(n) % 4 - 2
    for threshold in (0.5, 0.0, -1.0):
        assert torch.equal(run(library, boxes, scores, threshold), nms(boxes, scores, threshold))
    assert torch.equal(
        run(library, boxes, scores, 0.3, groups), batched_nms(boxes, scores, groups, 0.3)
    )


def test_odd_values(emulated):
    library = emulated("nms")
    boxes, scores = random_boxes(200, torch.float32, 60.0)
    boxes[::7], boxes[1::9, 2] = float("nan"), float("inf")
    boxes[2::11] = boxes[2::11].flip(1)
    scores[::5], scores[::31] = 0.5, float("nan")
    for threshold in (0.5, 0.0, -1.0):
        assert torch.equal(run(library, boxes, scores, threshold), nms(boxes, scores, threshold))


def test_a_chain_of_suppressions(emulated):
    # Each box overlaps only its neighbours: every second one is kept, decided one after the other.
    library = emulated("nms")
    x = torch.arange(150.0) * 4
    boxes = torch.stack([x, x * 0, x + 10, x * 0 + 10], 1)
    scores = torch.linspace(1, 0, 150)
    assert run(library, boxes, scores, 0.4).tolist() == list(range(0, 150, 2))


@pytest.mark.slow
@pytest.mark.parametrize("n", [4096, 4097, 9000])
def test_several_chunks(emulated, n):
    library = emulated("nms")
    boxes, scores = random_boxes(n, torch.float32, n**0.5 * 12)
    assert torch.equal(run(library, boxes, scores, 0.3), nms(boxes, scores, 0.3))
    groups = torch.arange(n) % 3
    assert torch.equal(
        run(library, boxes, scores, 0.2, groups), batched_nms(boxes, scores, groups, 0.2)
    )


@pytest.mark.parametrize("n", [70, 130])
def test_no_race(raced, n):
    library = raced("nms")
    boxes, scores = random_boxes(n, torch.float32, 60.0)
    groups = torch.arange(n) % 3
    assert torch.equal(run(library, boxes, scores, 0.3), nms(boxes, scores, 0.3))
    assert torch.equal(
        run(library, boxes, scores, 0.3, groups), batched_nms(boxes, scores, groups, 0.3)
    )


@pytest.mark.slow
def test_no_race_between_chunks(raced):
    boxes, scores = random_boxes(4200, torch.float32, 700.0)
    assert torch.equal(run(raced("nms"), boxes, scores, 0.3), nms(boxes, scores, 0.3))
