"""Anchors equal to torchvision's, to the last bit."""

import pytest
import torch
from torchvision.models.detection.anchor_utils import AnchorGenerator as Peer
from torchvision.models.detection.image_list import ImageList

from fastcv.nn.detection.anchors import AnchorGenerator


@pytest.mark.parametrize(
    ("sizes", "ratios"),
    [
        (((32,), (64,), (128,)), (0.5, 1.0, 2.0)),
        (((33, 50.5), (7.3, 90), (1, 513)), (0.3, 1.0, 1.7, 3.0)),
    ],
)
def test_equal(sizes, ratios):
    features = [torch.zeros(2, 4, *size) for size in [(25, 34), (13, 17), (7, 9)]]
    images = ImageList(torch.zeros(2, 3, 200, 272), [(200, 250), (180, 272)])
    expected = Peer(sizes, (ratios,) * 3)(images, features)
    anchors = torch.cat(AnchorGenerator(sizes, ratios)((200, 272), features))
    assert torch.equal(anchors, expected[0]) and torch.equal(anchors, expected[1])
