"""The CUDA kernels of box_iou_rotated, nms_rotated and batched_nms_rotated, run on the CPU, against
the CPU ops."""

import ctypes

import pytest
import torch

from fastcv.ops import batched_nms_rotated, box_iou_rotated, nms_rotated

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


def function(library, op, dtype):
    return getattr(library, f"{op}_{str(dtype).removeprefix('torch.')}")


def pointer(t):
    return ctypes.c_void_p(t.data_ptr() if t is not None else None)


def random_boxes(n, dtype):
    r = torch.rand(n, 6, generator=torch.Generator().manual_seed(n))
    boxes = torch.cat([r[:, :2] * 60, 5 + r[:, 2:4] * 30, r[:, 4:5] * 720 - 360], 1)
    boxes[3::17, 2], boxes[5::19, 4] = 0, float("nan")
    return boxes.to(dtype), r[:, 5].to(dtype).contiguous()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n, m", [(1, 1), (33, 65), (70, 130)])
def test_iou_is_the_cpus(emulated, dtype, n, m):
    check_iou(emulated("box_iou_rotated"), dtype, n, m)


def test_no_race_in_iou(raced):
    check_iou(raced("box_iou_rotated"), torch.float32, 33, 65)


def check_iou(library, dtype, n, m):
    boxes1, boxes2 = random_boxes(n, dtype)[0], random_boxes(m, dtype)[0]
    guarded1, guarded2 = library.guard(boxes1, "boxes1"), library.guard(boxes2, "boxes2")
    iou = library.guard(torch.full((n, m), -1.0, dtype=dtype), "iou")
    kernel = function(library, "box_iou_rotated", dtype)
    kernel(pointer(guarded1), pointer(guarded2), ctypes.c_int64(n), ctypes.c_int64(m), pointer(iou))
    assert torch.equal(iou, box_iou_rotated(boxes1, boxes2))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [1, 2, 33, 65, 200])
def test_nms_is_the_cpus(emulated, dtype, n):
    check_nms(emulated("nms_rotated"), dtype, n)


def test_no_race_in_nms(raced):
    check_nms(raced("nms_rotated"), torch.float32, 65)


def check_nms(library, dtype, n):
    boxes, scores = random_boxes(n, dtype)
    order = scores.sort(stable=True, descending=True)[1]
    idxs = torch.arange(n) % 3 - 1
    kernel = function(library, "nms_rotated", dtype)
    kernel.restype = ctypes.c_int64
    for groups in (None, idxs):
        keep = library.guard(torch.full((n,), -1), "keep")
        names = {"boxes": boxes, "order": order, "groups": groups}
        count = kernel(
            *(pointer(t if t is None else library.guard(t, name)) for name, t in names.items()),
            ctypes.c_int64(n),
            ctypes.c_double(0.3),
            pointer(keep),
        )
        if groups is None:
            expected = nms_rotated(boxes, scores, 0.3)
        else:
            expected = batched_nms_rotated(boxes, scores, groups, 0.3)
        assert torch.equal(keep[:count], expected)
