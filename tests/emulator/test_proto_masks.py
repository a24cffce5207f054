"""The CUDA kernels of proto_masks, run on the CPU, against the CPU op."""

import ctypes

import pytest
import torch

from fastcv.ops import proto_masks

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


def run(library, prototypes, coefficients, boxes, size, threshold):
    acc = torch.float64 if prototypes.dtype == torch.float64 else torch.float32
    count, (k, rows, columns) = len(boxes), prototypes.shape
    masks = library.guard(torch.full((count, *size), 2, dtype=torch.uint8), "masks")
    samples = library.guard(torch.empty(count, rows, columns, dtype=acc), "samples")
    inputs = {"prototypes": prototypes, "coefficients": coefficients, "boxes": boxes.to(acc)}
    tensors = [library.guard(tensor, name) for name, tensor in inputs.items()]
    getattr(library, f"proto_masks_{str(prototypes.dtype).removeprefix('torch.')}")(
        *(ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors),
        *(ctypes.c_int64(n) for n in (count, k, rows, columns, *size)),
        ctypes.c_double(threshold),
        ctypes.c_void_p(samples.data_ptr()),
        ctypes.c_void_p(masks.data_ptr()),
    )
    assert masks.max() < 2  # every pixel is written
    return masks.bool()


def some_instances(n, k, grid, size, dtype):
    """Boxes of all kinds; sums that are far from a tie, which rounding would decide."""
    g = torch.Generator().manual_seed(n)
    height, width = size
    corners = torch.rand(2, n, 2, generator=g) * torch.tensor([width, height]) * 2
    corners -= torch.tensor([width, height]) / 2
    boxes = torch.cat([corners.amin(0), corners.amax(0)], 1)
    boxes[1::5, 2] = float("nan")
    boxes[2::5] = boxes[2::5, [2, 3, 0, 1]]  # inverted
    boxes[3::5] = torch.tensor([0.0, 0.0, width, height])
    prototypes = torch.rand(k, *grid, generator=g).to(dtype)
    prototypes[:, 0, 0] = float("nan")
    return prototypes, torch.randn(n, k, generator=g).to(dtype), boxes


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("n", "k", "grid", "size"),
    [
        (1, 1, (1, 1), (1, 1)),
        (9, 3, (6, 4), (13, 5)),
        (11, 2, (5, 9), (7, 39)),
        (4, 32, (16, 16), (64, 64)),
        (5, 4, (20, 30), (11, 13)),  # more samples than pixels
    ],
)
def test_same_as_the_cpu(emulated, dtype, n, k, grid, size):
    """Rows shorter than the 16 bytes a thread writes, longer, and as long as four."""
    instances = some_instances(n, k, grid, size, dtype)
    got = run(emulated("proto_masks"), *instances, size, 0.5)
    expected = proto_masks(*instances, size)
    # Sums and exp are rounded otherwise: a pixel within 1e-6 of the threshold may differ.
    near = proto_masks(*instances, size, 0.5 - 1e-6) != proto_masks(*instances, size, 0.5 + 1e-6)
    assert torch.equal(got | near, expected | near) and near.float().mean() < 0.01
    assert bool(expected.any()) or n == 1


@pytest.mark.parametrize("threshold", [-1.0, 0.0, 2.0])
def test_thresholds_beyond_the_range(emulated, threshold):
    instances = some_instances(11, 2, (5, 9), (7, 39), torch.float32)
    got = run(emulated("proto_masks"), *instances, (7, 39), threshold)
    assert torch.equal(got, proto_masks(*instances, (7, 39), threshold))


def test_no_race(raced):
    instances = some_instances(6, 3, (7, 6), (17, 23), torch.float64)
    got = run(raced("proto_masks"), *instances, (17, 23), 0.4)
    assert torch.equal(got, proto_masks(*instances, (17, 23), 0.4))
