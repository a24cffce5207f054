"""panoptic_counts against numpy's unique of both ids in one number, as panopticapi counts."""

import numpy as np
import pytest
import torch

import fastcv.ops as ops

# COCO's pictures, Cityscapes', and ids of 24 bits.
SIZES = [(480, 640, 40), (1024, 2048, 200)]


def by_unique(predicted, target):
    both = target.numpy().astype(np.uint64) * 256**3 + predicted.numpy().astype(np.uint64)
    return np.unique(both, return_counts=True)


def by_torch_unique(predicted, target):
    """The same, where the maps are on a GPU."""
    return torch.unique(target.long() * 256**3 + predicted, return_counts=True)


def maps(height, width, segments):
    """Segments as the nearest of some points each; the prediction has others a little aside."""
    g = torch.Generator().manual_seed(0)
    points = torch.rand(segments, 2, generator=g) * torch.tensor([height, width])
    ids = torch.randint(1, 256**3, (2, segments), generator=g, dtype=torch.int32)
    made = []
    for number in range(2):
        moved = points + number * torch.randn(segments, 2, generator=g) * 5
        rows = []
        for y in range(height):
            x = torch.arange(width, dtype=torch.float32)
            distance = (x[:, None] - moved[:, 1]).square() + (y - moved[:, 0]).square()
            rows.append(ids[number][distance.argmin(1)])
        made.append(torch.stack(rows))
    return made


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_panoptic_counts(compare, threads, size):
    predicted, target = maps(*size)
    compare(
        "panoptic_counts",
        f"{size[0]} x {size[1]}, {size[2]} segments",
        lambda: ops.panoptic_counts(predicted, target),
        lambda: by_unique(predicted, target),
        peer_name="numpy.unique",
        target=10,
    )


def test_noise(compare, threads):
    """Every pixel by itself: no runs."""
    g = torch.Generator().manual_seed(0)
    predicted, target = (
        torch.randint(100, (480, 640), generator=g, dtype=torch.int32) for _ in range(2)
    )
    compare(
        "panoptic_counts",
        "480 x 640, noise",
        lambda: ops.panoptic_counts(predicted, target),
        lambda: by_unique(predicted, target),
        peer_name="numpy.unique",
    )
