"""What dense_crf and unary_from_labels refuse."""

import pytest
import torch

from fastcv.ops import dense_crf, unary_from_labels


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"unary": torch.rand(3, 4, 5)}, r"unary must have shape \[B, C, H, W\], got \[3, 4, 5\]"),
        ({"unary": torch.zeros(1, 3, 4, 5, dtype=torch.int64)}, "unary must be float64"),
        ({"image": torch.rand(1, 3, 4, 6)}, r"image must have shape \[B, 1 to 4, H, W\]"),
        ({"image": torch.rand(1, 5, 4, 5)}, r"image must have shape \[B, 1 to 4, H, W\]"),
        ({"compatibility": torch.rand(2, 3)}, r"compatibility must have shape \[3, 3\]"),
        ({"iterations": -1}, "iterations must be at least 0, got -1"),
        ({"gaussian_sxy": 0.0}, "gaussian_sxy must be above 0, got 0"),
        ({"bilateral_srgb": -1.0}, "bilateral_srgb must be above 0, got -1"),
        ({"bilateral_weight": float("nan")}, "bilateral_weight must be finite, got nan"),
        ({"bilateral_srgb": 1e-4}, "bilateral_sxy and bilateral_srgb must be larger"),
    ],
)
def test_errors(change, message):
    arguments = {"unary": torch.rand(1, 3, 4, 5), "image": torch.rand(1, 3, 4, 5), **change}
    with pytest.raises(RuntimeError, match=message):
        dense_crf(**arguments)


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([[[0, 3]]], {}, "labels must be 0 to 2, or 255 where unknown, got 3"),
        ([[[0, -1]]], {}, "got -1"),
        ([[[0, 1]]], {"certainty": 1.0}, "certainty must be between 0 and 1, got 1.0"),
    ],
)
def test_errors_of_unary_from_labels(labels, options, message):
    with pytest.raises(ValueError, match=message):
        unary_from_labels(torch.tensor(labels), 3, **options)
