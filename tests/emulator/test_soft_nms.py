"""The CUDA kernels of soft_nms and batched_soft_nms, run on the CPU, against the CPU op."""

import ctypes

import pytest
import torch

from fastcv.ops import batched_soft_nms, soft_nms

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


def run(library, boxes, scores, method, idxs=None):
    n = len(scores)
    selected = torch.zeros(
        n, dtype=torch.float64 if boxes.dtype == torch.float64 else torch.float32
    )
    groups, members = (None, None) if idxs is None else idxs.sort(stable=True)
    kernel = getattr(library, f"soft_nms_{str(boxes.dtype).removeprefix('torch.')}")
    kernel.restype = ctypes.c_int64
    selected = library.guard(selected, "selected")
    names = {"boxes": boxes, "scores": scores, "members": members, "groups": groups}
    tensors = [t if t is None else library.guard(t, name) for name, t in names.items()]
    count = kernel(
        *(ctypes.c_void_p(t.data_ptr() if t is not None else None) for t in tensors),
        ctypes.c_int64(n),
        ctypes.c_int(method == "gaussian"),
        *(ctypes.c_double(x) for x in (0.3, 0.5, 1e-3)),
        ctypes.c_void_p(selected.data_ptr()),
    )
    by_score, order = selected.sort(stable=True, descending=True)
    return order[:count], by_score[:count].to(boxes.dtype)


def random_boxes(n, dtype):
    g = torch.Generator().manual_seed(n)
    corner = torch.rand(n, 2, generator=g) * 60
    boxes = torch.cat([corner, corner + 5 + 25 * torch.rand(n, 2, generator=g)], 1)
    return boxes.to(dtype), torch.rand(n, generator=g).to(dtype)


@pytest.mark.parametrize("method", ["linear", "gaussian"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 33, 130])
def test_same_as_the_cpu(emulated, method, dtype, n):
    library = emulated("soft_nms")
    boxes, scores = random_boxes(n, dtype)
    scores[::5] = 0.5
    if n > 100:
        boxes[::7], boxes[1::9, 2], scores[::31] = float("nan"), float("inf"), float("nan")
    for got, expected in zip(
        run(library, boxes, scores, method), soft_nms(boxes, scores, method), strict=True
    ):
        assert torch.equal(got, expected)
    idxs = torch.arange(n) % 4 - 2
    expected_pair = batched_soft_nms(boxes, scores, idxs, method)
    for got, expected in zip(run(library, boxes, scores, method, idxs), expected_pair, strict=True):
        assert torch.equal(got, expected)


@pytest.mark.parametrize("groups", [1, 3])
def test_no_race(raced, groups):
    boxes, scores = random_boxes(40, torch.float32)
    idxs = None if groups == 1 else torch.arange(40) % groups
    expected = soft_nms(boxes, scores) if idxs is None else batched_soft_nms(boxes, scores, idxs)
    result = run(raced("soft_nms"), boxes, scores, "linear", idxs)
    assert all(torch.equal(got, want) for got, want in zip(result, expected, strict=True))
