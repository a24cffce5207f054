"""Moved images against torchvision's, and boxes against its boxes."""

import math

import pytest
import torch
from torchvision import tv_tensors
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as peer

from fastcv import augment

BILINEAR = InterpolationMode.BILINEAR


@pytest.fixture
def images(device):
    return torch.rand(2, 3, 10, 14, generator=torch.Generator().manual_seed(1)).to(device)


@pytest.mark.parametrize(
    "ours, theirs",
    [
        ({"angle": 25.0}, {"angle": -25.0}),  # theirs is clockwise
        ({"translate": (2.0, -3.0)}, {"translate": [2, -3]}),
        ({"scale": 1.3}, {"scale": 1.3}),
        ({"shear": (0.3, 0.0)}, {"shear": [-math.degrees(math.atan(0.3)), 0.0]}),
        ({"shear": (0.0, 0.2)}, {"shear": [0.0, -math.degrees(math.atan(0.2))]}),
        (
            {"angle": -70.0, "translate": (1.0, 2.0), "scale": 0.8, "shear": (0.2, 0.0)},
            {
                "angle": 70.0,
                "translate": [1, 2],
                "scale": 0.8,
                "shear": [-math.degrees(math.atan(0.2)), 0.0],
            },
        ),
    ],
)
def test_affine(images, ours, theirs):
    given = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0], **theirs}
    expected = peer.affine(images, **given, interpolation=BILINEAR)
    matrices = augment.affine_matrices((10, 14), **ours)
    box = [[3.0, 2.0, 9.0, 6.0]]
    moved, targets = augment.warp(images, [{"boxes": torch.tensor(box)}] * 2, matrices)
    torch.testing.assert_close(moved, expected, atol=2e-5, rtol=0)
    boxes = tv_tensors.BoundingBoxes(box, format="XYXY", canvas_size=(10, 14))
    for target in targets:
        torch.testing.assert_close(
            target["boxes"],
            peer.affine(boxes, **given).as_subclass(torch.Tensor),
            atol=0.02,
            rtol=0,
        )


def test_rotate(images):
    moved, _ = augment.warp(images, None, augment.affine_matrices((10, 14), angle=33.0))
    expected = peer.rotate(images, 33.0, interpolation=BILINEAR)
    torch.testing.assert_close(moved, expected, atol=2e-5, rtol=0)


@pytest.mark.parametrize("size", [(5, 6), (20, 30), (7, 40)])
def test_resized_crop(images, size):
    boxes = torch.tensor([[1, 2, 13, 9], [4, 0, 7, 10]])
    found, _ = augment.resized_crop(images, None, boxes, size)
    for image, out, (x1, y1, x2, y2) in zip(images, found, boxes.tolist(), strict=True):
        expected = peer.resized_crop(image, y1, x1, y2 - y1, x2 - x1, list(size), antialias=True)
        torch.testing.assert_close(out, expected, atol=1e-5, rtol=0)


def test_shift(images):
    found, _ = augment.shift(images, None, torch.tensor([3, -14]), torch.tensor([-2, 0]), fill=0.5)
    padded = peer.pad(images[0], [3, 0, 0, 2], fill=0.5)
    assert torch.equal(found[0], padded[:, 2:, :14])
    assert bool((found[1] == 0.5).all())


def test_erase(images):
    boxes = torch.tensor([[2, 1, 6, 4], [0, 0, 14, 10]])
    found = augment.erase(images, boxes)
    assert torch.equal(found[0], peer.erase(images[0], 1, 2, 3, 4, torch.zeros(3, 1, 1)))
    assert not found[1].any()
