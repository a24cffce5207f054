"""Faster R-CNN from photograph to boxes, against torchvision's with the same weights."""

import numpy as np
import pytest
import skimage
import torch
from torchvision.models import detection

import fastcv


@pytest.fixture(scope="module")
def pair():
    """torchvision's detector and ours: random weights, scaled until there is much to find."""
    torch.manual_seed(0)
    peer = detection.fasterrcnn_resnet50_fpn(
        weights=None,
        weights_backbone=None,
        num_classes=91,
    ).eval()
    with torch.no_grad():
        peer.roi_heads.box_predictor.cls_score.weight.mul_(3)
    ours = fastcv.create_model("fasterrcnn_resnet50_fpn", num_classes=91)
    ours.load_state_dict(peer.state_dict())
    return peer, fastcv.optimize(ours)


def test_inference(pair, compare, threads):
    peer, ours = pair
    photograph = torch.from_numpy(np.ascontiguousarray(skimage.data.coffee().transpose(2, 0, 1)))
    image = photograph.float() / 255  # 400 x 600: the detector makes it 800 x 1200

    @torch.inference_mode()
    def run(model):
        return model([image])

    found = ours.postprocess(run(ours), score_threshold=0.05)[0]
    (expected,) = run(peer)
    assert len(found) == len(expected["boxes"]) > 50
    # Folding rounds otherwise, so of boxes with almost the same score another may come first.
    overlap = fastcv.ops.box_iou(found.boxes, expected["boxes"])
    overlap[found.labels[:, None] != expected["labels"]] = 0
    assert (overlap.amax(dim=1) > 0.99).float().mean() > 0.95
    compare(
        "Faster R-CNN",
        f"R50-FPN, 800 px, {len(found)} found",
        lambda: ours.postprocess(run(ours), score_threshold=0.05),
        lambda: run(peer),
        target=1.3,
    )
