"""paste_masks is torchvision's paste_masks_in_image and a threshold."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.models.detection.roi_heads import paste_masks_in_image

from fastcv.ops import paste_masks

# torchvision's kernel may fuse a multiplication with an addition where ours rounds twice: values
# between 0 and 1 then differ by a few units of 2^-24.
CLOSE = {torch.float32: 5e-7, torch.float64: 1e-15}


def boxes_on(size, n, g):
    """Boxes that share pixels with the picture: beyond it torchvision fails."""
    height, width = size
    a, b = torch.rand(2, n, 2, generator=g) * torch.tensor([width, height])
    boxes = torch.cat([torch.minimum(a, b), torch.maximum(a, b)], 1)
    over = torch.rand(n, 1, generator=g) < 0.3
    boxes += over * torch.tensor([-1.0, -1.0, 1.0, 1.0]) * torch.rand(n, 4, generator=g) * 60
    whole = torch.rand(n, 1, generator=g) < 0.3
    return torch.where(whole, boxes.round(), boxes)


def check(masks, boxes, size, threshold):
    got = paste_masks(masks, boxes, size, threshold)
    soft = paste_masks_in_image(masks[:, None], boxes, size)[:, 0]
    tie = (soft - threshold).abs() < CLOSE[masks.dtype]
    assert torch.equal(got | tie, (soft > threshold) | tie)
    assert tie.sum() <= 2 + 1e-4 * tie.numel()
    return got


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    n=st.integers(0, 8),
    side=st.sampled_from([1, 2, 14, 28, 56]),
    size=st.tuples(st.integers(1, 100), st.integers(1, 100)),
    threshold=st.sampled_from([0.5, 0.3, 0.05]),
    dtype=st.sampled_from(list(CLOSE)),
)
def test_the_same_pixels(seed, n, side, size, threshold, dtype):
    g = torch.Generator().manual_seed(seed)
    masks = torch.rand(n, side, side, generator=g).to(dtype)
    check(masks, boxes_on(size, n, g).to(dtype), size, threshold)


@pytest.mark.parametrize("dtype", list(CLOSE))
def test_a_large_picture(dtype):
    g = torch.Generator().manual_seed(0)
    masks = torch.rand(12, 28, 28, generator=g).to(dtype)
    pasted = check(masks, boxes_on((800, 1333), 12, g).to(dtype), (800, 1333), 0.5)
    assert pasted.flatten(1).any(1).all()


def test_boxes_of_integers_grow_alike():
    """Where a box grows to a whole number, the last bit decides the pixel."""
    sides = torch.arange(1.0, 141.0)
    boxes = torch.stack([sides % 7, sides % 5, sides % 7 + sides, sides % 5 + sides], 1)
    check(torch.full((140, 28, 28), 0.9), boxes, (160, 160), 0.2)
