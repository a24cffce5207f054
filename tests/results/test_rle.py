"""Masks as COCO writes them, against pycocotools; polygons, drawn again."""

import numpy as np
import pytest
import torch
from pycocotools import mask as coco

from fastcv.results._rle import decode_rle, encode_rle, outlines, run_lengths


def masks():
    """Of many kinds: empty, full, one pixel, stripes, noise, a ring, long runs."""
    g = torch.Generator().manual_seed(0)
    y, x = torch.meshgrid(torch.arange(50), torch.arange(70), indexing="ij")
    far = ((x - 30) ** 2 + (y - 24) ** 2).sqrt()
    wide = torch.zeros(900, 1300, dtype=torch.bool)
    wide[100:800, 200:1200] = True  # differences that need several characters
    yield from (torch.zeros(1, 1) > 0, torch.ones(1, 1) > 0, torch.zeros(5, 7) > 0)
    yield from (torch.ones(5, 7) > 0, torch.ones(1, 9) > 0, torch.ones(9, 1) > 0)
    yield from ((x % 2 == 0), (y % 3 == 0), (far < 20), (far < 20) & (far > 9), wide)
    yield from (torch.rand(40, 33, generator=g) < share for share in (0.02, 0.5, 0.97))
    first = torch.zeros(6, 6, dtype=torch.bool)
    first[0, 0] = first[5, 5] = True
    yield first


MASKS = list(masks())


@pytest.mark.parametrize("mask", MASKS, ids=lambda m: f"{tuple(m.shape)}-{int(m.sum())}")
def test_as_pycocotools(mask):
    expected = coco.encode(np.asfortranarray(mask.numpy().astype(np.uint8)))
    ours = encode_rle(mask)
    assert ours == {"size": list(mask.shape), "counts": expected["counts"].decode()}
    assert torch.equal(decode_rle(ours), mask)
    assert torch.equal(decode_rle({"size": ours["size"], "counts": expected["counts"]}), mask)
    assert torch.equal(decode_rle({"size": ours["size"], "counts": run_lengths(mask)}), mask)
    assert int(coco.area(ours)) == int(mask.sum())


def test_runs_that_do_not_fill():
    with pytest.raises(ValueError, match="the runs must fill 3 x 4 pixels, got 5"):
        decode_rle({"size": [3, 4], "counts": [2, 3]})


@pytest.mark.parametrize("mask", MASKS, ids=lambda m: f"{tuple(m.shape)}-{int(m.sum())}")
def test_polygons_are_the_parts_with_holes_filled(mask):
    cv2 = pytest.importorskip("cv2")
    height, width = mask.shape
    polygons = outlines(mask)
    assert all(len(polygon) >= 8 and len(polygon) % 2 == 0 for polygon in polygons)
    # Parts of pixels that share an edge; of each, what is not reached from outside of it.
    count, parts = cv2.connectedComponents(mask.numpy().astype(np.uint8), connectivity=4)
    assert len(polygons) == count - 1
    expected = np.zeros((height, width), bool)
    for part in range(1, count):
        outside = np.pad(parts != part, 1, constant_values=True).astype(np.uint8)
        _, regions = cv2.connectedComponents(outside, connectivity=8)
        expected |= (regions != regions[0, 0])[1:-1, 1:-1]
    found = np.zeros((height, width), bool)
    rows, columns = np.mgrid[:height, :width] + 0.5
    for polygon in polygons:  # even-odd rule at the pixels' centres
        inside = np.zeros((height, width), bool)
        corners = np.array(polygon).reshape(-1, 2)
        for (x1, y1), (x2, y2) in zip(corners, np.roll(corners, -1, 0), strict=True):
            assert (x1 == x2) != (y1 == y2)
            if x1 == x2:
                inside ^= (columns < x1) & (rows > min(y1, y2)) & (rows < max(y1, y2))
        found |= inside
    assert (found == expected).all()


def test_pycocotools_reads_polygons():
    """Its own way of drawing takes half a pixel more or less along borders."""
    disc = MASKS[8]
    drawn = coco.merge(coco.frPyObjects(outlines(disc), *disc.shape))
    iou = coco.iou([drawn], [encode_rle(disc)], [0]).item()
    assert iou > 0.99
