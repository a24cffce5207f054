"""Anchors of a cell by hand."""

import pytest
import torch

from fastcv.nn.detection.anchors import AnchorGenerator


def test_nine_anchors_of_one_cell():
    # Width = size / sqrt(ratio), height = size * sqrt(ratio); halves rounded to whole pixels.
    half = {
        (0.5, 128): (91, 45),
        (0.5, 256): (181, 91),
        (0.5, 512): (362, 181),
        (1.0, 128): (64, 64),
        (1.0, 256): (128, 128),
        (1.0, 512): (256, 256),
        (2.0, 128): (45, 91),
        (2.0, 256): (91, 181),
        (2.0, 512): (181, 362),
    }
    (anchors,) = AnchorGenerator([[128, 256, 512]])((16, 16), [torch.zeros(1, 1, 1, 1)])
    assert anchors.tolist() == [[-w, -h, w, h] for w, h in half.values()]


def test_order_and_strides():
    generator = AnchorGenerator([[16], [32]], aspect_ratios=[1.0, 4.0])
    fine, coarse = generator((64, 96), [torch.zeros(1, 1, 8, 12), torch.zeros(1, 1, 2, 3)])
    assert fine.shape == (8 * 12 * 2, 4) and coarse.shape == (2 * 3 * 2, 4)
    row, column, anchor = 5, 7, 1  # stride 8; 8 wide, 32 high
    assert fine[(row * 12 + column) * 2 + anchor].tolist() == [52, 24, 60, 56]
    assert coarse[(1 * 3 + 2) * 2].tolist() == [64 - 16, 32 - 16, 64 + 16, 32 + 16]


def test_half_precision_keeps_pixels():
    generator = AnchorGenerator([[16]], aspect_ratios=[1.0]).to(torch.bfloat16)
    (anchors,) = generator((8, 8 * 400), [torch.zeros(1, 1, 1, 400, dtype=torch.bfloat16)])
    assert anchors[399].tolist() == [399 * 8 - 8, -8, 399 * 8 + 8, 8]


def test_errors():
    with pytest.raises(ValueError, match="expected 2 levels, got 1"):
        AnchorGenerator([[16], [32]])((8, 8), [torch.zeros(1, 1, 1, 1)])
    with pytest.raises(ValueError, match=r"as many anchor sizes, got \[3, 6\]"):
        AnchorGenerator([[16], [32, 64]]).anchors_per_cell()


def test_nothing_to_save():
    assert AnchorGenerator([[16]]).state_dict() == {}
