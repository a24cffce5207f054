"""Single-stage detectors from photograph to boxes, against torchvision's with the same weights."""

import numpy as np
import pytest
import skimage
import torch
from torchvision.models import detection

import fastcv

NAMES = {"retinanet_resnet50_fpn": "RetinaNet", "ssd300_vgg16": "SSD300"}


def loud(name, peer):
    """Scales random weights until there is much to find, as a trained network does."""
    with torch.no_grad():
        if name.startswith("ssd"):
            peer.backbone.features[0].weight.mul_(1 / 64)  # of values 0 to 255
            for layer in peer.head.classification_head.module_list:
                layer.weight.mul_(3)
            return
        for subnet in (peer.head.classification_head, peer.head.regression_head):
            for block in subnet.conv:
                torch.nn.init.kaiming_normal_(block[0].weight)
        torch.nn.init.normal_(peer.head.classification_head.cls_logits.weight, std=8e-4)
        torch.nn.init.normal_(peer.head.regression_head.bbox_reg.weight, std=1e-4)


@pytest.fixture(scope="module", params=list(NAMES))
def pair(request):
    torch.manual_seed(0)
    peer = getattr(detection, request.param)(weights=None, weights_backbone=None).eval()
    loud(request.param, peer)
    ours = fastcv.create_model(request.param)
    ours.load_state_dict(peer.state_dict())
    return request.param, peer, fastcv.optimize(ours)


@pytest.mark.parametrize("threads", [2], ids=["t2"], indirect=True)
def test_inference(pair, compare, threads):
    name, peer, ours = pair
    photograph = torch.from_numpy(np.ascontiguousarray(skimage.data.coffee().transpose(2, 0, 1)))
    image = photograph.float() / 255  # 400 x 600

    @torch.inference_mode()
    def run(model):
        return model([image])

    found = ours.postprocess(run(ours))[0]
    (expected,) = run(peer)
    assert len(found) > 50
    # Folding rounds otherwise, so of boxes with almost the same score another may come first.
    overlap = fastcv.ops.box_iou(found.boxes, expected["boxes"])
    overlap[found.labels[:, None] != expected["labels"]] = 0
    assert (overlap.amax(dim=1) > 0.99).float().mean() > 0.95
    compare(
        NAMES[name],
        f"from photograph to {len(found)} boxes",
        lambda: ours.postprocess(run(ours)),
        lambda: run(peer),
        target=1.2,
    )
