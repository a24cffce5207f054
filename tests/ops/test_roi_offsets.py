"""Offsets past 2^31: the second image lies 2^31 elements behind the first."""

import pytest
import torch

from fastcv.ops import ps_roi_align, ps_roi_pool, roi_align, roi_align_rotated, roi_pool

OPS = {f.__name__: f for f in (roi_align, roi_align_rotated, roi_pool, ps_roi_align, ps_roi_pool)}


@pytest.mark.parametrize("name", OPS)
def test_an_image_far_away(device, name):
    near = torch.randn(2, 16, 8, 8, generator=torch.Generator().manual_seed(0)).half().to(device)
    storage = torch.empty(2**31 + near[0].numel(), dtype=torch.float16, device=device)
    far = storage.as_strided(near.shape, (2**31, *near.stride()[1:]))
    far.copy_(near)
    rois = torch.tensor([[0, 1.0, 1, 7, 8], [1, 0, 0, 6, 6]], device=device)
    if name == "roi_align_rotated":
        rois = torch.tensor([[0, 4.0, 4, 7, 6, 30], [1, 3, 4, 5, 6, -70]], device=device)
    assert torch.equal(OPS[name](far, rois, 2), OPS[name](near, rois, 2))
