"""The CUDA kernel of fast_nms, run on the CPU, against the CPU op."""

import ctypes

import pytest
import torch

from fastcv.ops import fast_nms

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


def run(library, boxes, scores, threshold, top_k):
    """As the launcher: the order first, the kernel, then what is kept by falling score."""
    ordered, order = scores.sort(dim=1, stable=True, descending=True)
    order, ordered = order[:, :top_k].contiguous(), ordered[:, :top_k].flatten()
    kept = library.guard(torch.full(order.shape, 2, dtype=torch.uint8), "kept")
    guarded = library.guard(boxes, "boxes"), library.guard(order, "order")
    getattr(library, f"fast_nms_{str(boxes.dtype).removeprefix('torch.')}")(
        *(ctypes.c_void_p(t.data_ptr()) for t in guarded),
        *(ctypes.c_int64(n) for n in order.shape),
        ctypes.c_double(threshold),
        ctypes.c_void_p(kept.data_ptr()),
    )
    assert kept.max() < 2
    places = kept.flatten().nonzero()[:, 0]
    places = places[ordered[places].sort(stable=True, descending=True).indices]
    return order.flatten()[places], places // order.shape[1]


def random_boxes(n, classes, dtype):
    g = torch.Generator().manual_seed(n)
    corner = torch.rand(n, 2, generator=g) * 60
    boxes = torch.cat([corner, corner + 5 + 25 * torch.rand(n, 2, generator=g)], 1)
    boxes[::7], boxes[1::9, 2] = float("nan"), float("inf")
    scores = torch.rand(classes, n, generator=g)
    scores[:, ::5] = 0.5
    return boxes.to(dtype), scores.to(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("n", "classes", "top_k"), [(1, 1, 1), (40, 3, 25), (256, 2, 256), (300, 2, 280)]
)
def test_same_as_the_cpu(emulated, dtype, n, classes, top_k):
    """Fewer boxes than a block has threads, as many, and more."""
    boxes, scores = random_boxes(n, classes, dtype)
    got = run(emulated("fast_nms"), boxes, scores, 0.3, top_k)
    for ours, expected in zip(got, fast_nms(boxes, scores, 0.3, top_k), strict=True):
        assert torch.equal(ours, expected)


def test_no_race(raced):
    boxes, scores = random_boxes(270, 2, torch.float32)
    got = run(raced("fast_nms"), boxes, scores, 0.3, 270)
    assert torch.equal(got[0], fast_nms(boxes, scores, 0.3, 270)[0])
