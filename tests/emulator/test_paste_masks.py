"""The CUDA kernel of paste_masks, run on the CPU, against the CPU op."""

import ctypes

import pytest
import torch

from fastcv.ops import paste_masks

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


def run(library, masks, boxes, size, threshold):
    boxes = boxes.to(torch.float64 if masks.dtype == torch.float64 else torch.float32)
    pasted = library.guard(torch.full((len(masks), *size), 2, dtype=torch.uint8), "pasted")
    masks, boxes = library.guard(masks, "masks"), library.guard(boxes, "boxes")
    getattr(library, f"paste_masks_{str(masks.dtype).removeprefix('torch.')}")(
        ctypes.c_void_p(masks.data_ptr()),
        ctypes.c_void_p(boxes.data_ptr()),
        *(ctypes.c_int64(n) for n in (len(masks), masks.shape[1], *size)),
        ctypes.c_double(threshold),
        ctypes.c_void_p(pasted.data_ptr()),
    )
    assert pasted.max() < 2  # every pixel is written
    return pasted.bool()


def some_masks(n, side, size, dtype):
    g = torch.Generator().manual_seed(n)
    height, width = size
    corners = torch.rand(2, n, 2, generator=g) * torch.tensor([width, height]) * 2
    corners -= torch.tensor([width, height]) / 2
    boxes = torch.cat([corners.amin(0), corners.amax(0)], 1)
    boxes[1::5, 2] = float("nan")
    boxes[2::5] = boxes[2::5, [2, 3, 0, 1]]  # inverted
    masks = torch.rand(n, side, side, generator=g).to(dtype)
    masks[::7, 0, 0] = float("nan")
    return masks, boxes


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("n", "side", "size"), [(1, 1, (1, 1)), (9, 28, (13, 5)), (11, 5, (7, 39)), (2, 14, (64, 64))]
)
def test_same_as_the_cpu(emulated, dtype, n, side, size):
    """Rows shorter than the 16 bytes a thread writes, longer, and as long as two."""
    masks, boxes = some_masks(n, side, size, dtype)
    got = run(emulated("paste_masks"), masks, boxes, size, 0.5)
    assert torch.equal(got, paste_masks(masks, boxes, size))


def test_no_race(raced):
    masks, boxes = some_masks(6, 7, (17, 23), torch.float32)
    got = run(raced("paste_masks"), masks, boxes, (17, 23), 0.4)
    assert torch.equal(got, paste_masks(masks, boxes, (17, 23), 0.4))
