"""R-CNNs from photograph to results, against torchvision's with the same weights."""

import numpy as np
import skimage
import torch
from torchvision.models import detection

import fastcv


def pair(name, num_classes, factor):
    """torchvision's detector and ours: random weights, those of the classes scaled by ``factor``
    until there is much to find."""
    torch.manual_seed(0)
    peer = getattr(detection, name)(weights=None, weights_backbone=None, num_classes=num_classes)
    with torch.no_grad():
        peer.roi_heads.box_predictor.cls_score.weight.mul_(factor)
    ours = fastcv.create_model(name, num_classes=num_classes)
    ours.load_state_dict(peer.state_dict())
    return peer.eval(), fastcv.optimize(ours)


def race(compare, title, peer, ours, target):
    photograph = torch.from_numpy(np.ascontiguousarray(skimage.data.coffee().transpose(2, 0, 1)))
    image = photograph.float() / 255  # 400 x 600: the detector makes it 800 x 1200

    @torch.inference_mode()
    def run(model):
        return model([image])

    @torch.inference_mode()
    def find():
        return ours.postprocess(ours([image]), score_threshold=0.05)

    (found,), (expected,) = find(), run(peer)
    assert len(found) == len(expected["boxes"]) > 50
    # Folding rounds otherwise, so of boxes with almost the same score another may come first.
    overlap = fastcv.ops.box_iou(found.boxes, expected["boxes"])
    overlap[found.labels[:, None] != expected["labels"]] = 0
    assert (overlap.amax(dim=1) > 0.99).float().mean() > 0.95
    work = f"R50-FPN, 800 px, {len(found)} found"
    compare(title, work, find, lambda: run(peer), target=target)


def test_inference(compare, threads):
    race(compare, "Faster R-CNN", *pair("fasterrcnn_resnet50_fpn", 91, 3), target=1.3)


def test_masks(compare, threads):
    """torchvision's masks are probabilities of the picture's size, ours are bool."""
    race(compare, "Mask R-CNN", *pair("maskrcnn_resnet50_fpn", 91, 3), target=1.2)


def test_keypoints(compare, threads):
    race(compare, "Keypoint R-CNN", *pair("keypointrcnn_resnet50_fpn", 2, 0.1), target=1.2)
