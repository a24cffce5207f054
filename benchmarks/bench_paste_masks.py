"""paste_masks on what Mask R-CNN leaves of a picture, against torchvision and pycocotools."""

import numpy as np
import pytest
import torch
from made_boxes import rpn_like

import fastcv.ops as ops

SIZE = (800, 1333)


def masks_and_boxes(n=100, side=28):
    """Instances of any size, a blob each."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    distance = ((y - side / 2) ** 2 + (x - side / 2) ** 2).sqrt() / side
    noise = torch.randn(n, side, side, generator=torch.Generator().manual_seed(0))
    return (5 - 12 * distance + noise).sigmoid(), rpn_like(n)[0]


def torchvisions(masks, boxes):
    from torchvision.models.detection.roi_heads import paste_masks_in_image

    return paste_masks_in_image(masks[:, None], boxes, SIZE)[:, 0] > 0.5


def test_paste_masks(compare, threads):
    masks, boxes = masks_and_boxes()
    compare(
        "paste_masks",
        "100 of 28^2 into 800 x 1333",
        lambda: ops.paste_masks(masks, boxes, SIZE),
        lambda: torchvisions(masks, boxes),
        target=10,
    )


def test_run_lengths(compare, threads):
    encode = pytest.importorskip("pycocotools.mask").encode
    masks, boxes = masks_and_boxes()

    def encoded():
        pasted = torchvisions(masks, boxes).byte().numpy()
        return [encode(np.asfortranarray(mask)) for mask in pasted]

    assert ops.paste_masks(masks, boxes, SIZE, out="rle") == encoded()
    compare(
        "paste_masks",
        "100 of 28^2 into 800 x 1333, as run lengths",
        lambda: ops.paste_masks(masks, boxes, SIZE, out="rle"),
        encoded,
        peer_name="torchvision, pycocotools",
        target=10,
    )
