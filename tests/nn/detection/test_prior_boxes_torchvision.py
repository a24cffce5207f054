"""SSD's prior boxes are torchvision's, to the last bit."""

import torch
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.image_list import ImageList

from fastcv.models import create_model
from fastcv.nn.detection.prior_boxes import PriorBoxes


def peers(generator, size, maps):
    images = ImageList(torch.zeros(2, 3, *size), [size, size])
    first, second = generator(images, maps)
    assert torch.equal(first, second)
    return first


def test_ssd300():
    maps = [torch.zeros(2, 1, n, n) for n in (38, 19, 10, 5, 3, 1)]
    with torch.device("meta"):
        ours = create_model("ssd300_vgg16").anchor_generator
    peer = DefaultBoxGenerator(
        [[2], [2, 3], [2, 3], [2, 3], [2], [2]],
        scales=[0.07, 0.15, 0.33, 0.51, 0.69, 0.87, 1.05],
        steps=[8, 16, 32, 64, 100, 300],
    )
    boxes = torch.cat(ours((300, 300), maps))
    assert boxes.shape == (8732, 4) and torch.equal(boxes, peers(peer, (300, 300), maps))


def test_without_steps_and_not_square():
    maps = [torch.zeros(2, 1, 7, 9), torch.zeros(2, 1, 3, 4)]
    ratios, scales = [[2], [2, 3]], [0.11, 0.37, 0.8]
    boxes = torch.cat(PriorBoxes(ratios, scales)((130, 170), maps))
    peer = DefaultBoxGenerator(ratios, scales=scales)
    assert torch.equal(boxes, peers(peer, (130, 170), maps))
