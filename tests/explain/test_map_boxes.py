"""Components as SciPy labels them; boxes of the largest."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from fastcv.explain import boxes_of_maps
from fastcv.explain.map_boxes import connected_components

TOUCHING = np.ones((3, 3))  # corners connect


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 14), st.integers(1, 14), st.floats(0.05, 0.95), st.integers(0, 10**6))
def test_components_are_scipys(height, width, share, seed):
    random = np.random.default_rng(seed)
    masks = random.random((2, height, width)) < share
    for mask, found in zip(masks, connected_components(torch.from_numpy(masks)), strict=True):
        expected, count = ndimage.label(mask, TOUCHING)
        assert torch.equal(found > 0, torch.from_numpy(mask))
        pairs = set(zip(expected.ravel().tolist(), found.ravel().tolist(), strict=True))
        assert len(pairs) == count + (not mask.all())


def test_a_long_path():
    """A spiral's ends are one component."""
    mask = torch.ones(41, 41, dtype=torch.bool)
    row, column, side, (down, right) = 1, 0, 40, (0, 1)
    while side > 1:
        for _ in range(side - 1):
            mask[row, column] = False
            row, column = row + down, column + right
        down, right = right, -down
        side -= 1
    count = ndimage.label(mask.numpy(), TOUCHING)[1]
    found = connected_components(mask[None])[0]
    assert len(found[mask].unique()) == count


def test_boxes_are_of_the_largest():
    random = np.random.default_rng(0)
    maps = ndimage.gaussian_filter(random.standard_normal((20, 30, 40)), (0, 2, 2)).astype("f4")
    for share in (0.0, 0.2, 0.7):
        for one, box in zip(maps, boxes_of_maps(torch.from_numpy(maps), share), strict=True):
            labels, count = ndimage.label((one > share * one.max()) & (one > 0), TOUCHING)
            sizes = [(labels == k).sum() for k in range(1, count + 1)]
            rows, columns = np.nonzero(labels == 1 + int(np.argmax(sizes)))
            expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert sizes.count(max(sizes)) > 1 or box.tolist() == expected


def test_nothing_above_zero():
    assert boxes_of_maps(torch.zeros(2, 3, 4)).tolist() == [[0, 0, 0, 0]] * 2
    assert boxes_of_maps(-torch.rand(1, 3, 4)).tolist() == [[0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("maps", "share", "why"),
    [
        (torch.ones(3, 4), 0.2, r"maps must be \[B, H, W\], got \[3, 4\]"),
        (torch.ones(1, 0, 4), 0.2, r"maps must be \[B, H, W\]"),
        (torch.ones(1, 3, 4), 1.5, "share must be from 0 to 1, got 1.5"),
    ],
)
def test_bad_input(maps, share, why):
    with pytest.raises(ValueError, match=why):
        boxes_of_maps(maps, share)
