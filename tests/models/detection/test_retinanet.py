"""RetinaNet: its sizes, its loss by hand, its errors, and that it learns."""

import math

import pytest
import torch
from torch import nn

from fastcv.data import DrawnDigits
from fastcv.metrics import evaluate_detector
from fastcv.models import create_model
from fastcv.models.detection._dense_detector import DenseOutput
from fastcv.nn.detection.transform import ImageBatch
from fastcv.recipes.detection import digits_retinanet

TINY = {"num_classes": 3, "width": 8, "fpn_channels": 16, "min_size": 64, "max_size": 96}


def tiny(**options):
    torch.manual_seed(0)
    return create_model("retinanet_resnet18_fpn", **{**TINY, **options})


def target(*boxes, label=1):
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "labels": torch.full((len(boxes),), label),
    }


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("retinanet_resnet50_fpn", {"frozen_norm": True}, 34_014_999),
        ("retinanet_resnet50_fpn", {}, 34_068_119),
        ("retinanet_resnet50_fpn_v2", {}, 38_198_935),
    ],
)
def test_parameters(name, options, count):
    with torch.device("meta"):
        model = create_model(name, **options)
    assert sum(p.numel() for p in model.parameters()) == count


def test_everything_is_background_at_first():
    model = tiny()
    bias = model.head.classification_head.cls_logits.bias
    assert torch.allclose(bias, torch.tensor(-math.log(99.0)))
    with torch.no_grad():
        logits = torch.cat(model([torch.rand(3, 60, 80)]).logits, dim=1)
    assert logits.sigmoid().mean().item() == pytest.approx(0.01, abs=0.003)


def test_every_level_has_nine_anchors_a_cell():
    with torch.device("meta"):
        model = create_model("retinanet_resnet50_fpn")
        logits, deltas, anchors = model.dense(torch.zeros(2, 3, 256, 384))
    cells = [32 * 48, 16 * 24, 8 * 12, 4 * 6, 2 * 3]
    assert [len(level) for level in anchors] == [9 * n for n in cells]
    assert [tuple(x.shape) for x in logits] == [(2, 9 * n, 91) for n in cells]
    assert [tuple(x.shape) for x in deltas] == [(2, 9 * n, 4) for n in cells]


def made_up(logits, deltas, anchors):
    """Outputs of one level for an image of 100 x 100 pixels."""
    batch = ImageBatch(torch.zeros(len(logits), 3, 100, 100), *[[(100, 100)] * len(logits)] * 2)
    return DenseOutput(batch, [logits], [deltas], [anchors])


def test_loss_by_hand():
    anchors = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 22], [50.0, 50, 60, 60]])
    logits = torch.tensor([[[-2.0, 1.0, 0.5], [3.0, 3.0, 3.0], [-1.0, -3.0, 2.0]]])
    deltas = torch.tensor([[[0.1, -0.2, 0.3, 0.0], [9.0, 9, 9, 9], [9.0, 9, 9, 9]]])
    losses = tiny().loss(made_up(logits, deltas, anchors), [target([0.0, 0, 10, 10], label=1)])

    def focal(logit, expected):
        p = 1 / (1 + math.exp(-logit))
        return -0.25 * (1 - p) ** 2 * math.log(p) if expected else -0.75 * p**2 * math.log(1 - p)

    # The first anchor is the object; the second, with IoU 100 / 220, counts for nothing.
    want = focal(-2, 0) + focal(1, 1) + focal(0.5, 0) + focal(-1, 0) + focal(-3, 0) + focal(2, 0)
    assert losses["classification"].item() == pytest.approx(want, rel=1e-5)
    assert losses["bbox_regression"].item() == pytest.approx(0.6, rel=1e-5)


def test_each_image_is_divided_by_its_own_objects():
    anchors = torch.tensor([[0.0, 0, 10, 10], [40.0, 40, 60, 60], [80.0, 80, 90, 90]])
    logits = torch.zeros(2, 3, 3)  # p = 1/2 of everything
    deltas = torch.ones(2, 3, 4)
    one = target([0.0, 0, 10, 10])
    two = target([0.0, 0, 10, 10], [40.0, 40, 60, 60])
    losses = tiny().loss(made_up(logits, deltas, anchors), [one, two])
    right, wrong = 0.25 * 0.25 * math.log(2), 0.75 * 0.25 * math.log(2)
    want = ((right + 8 * wrong) / 1 + (2 * right + 7 * wrong) / 2) / 2
    assert losses["classification"].item() == pytest.approx(want, rel=1e-5)
    assert losses["bbox_regression"].item() == pytest.approx((4 / 1 + 8 / 2) / 2, rel=1e-5)


def test_giou_of_boxes():
    model = tiny()
    model.box_loss = "giou"
    anchors = torch.tensor([[0.0, 0, 10, 10]])
    deltas = torch.tensor([[[0.5, 0.0, 0.0, 0.0]]])  # half a width too far: IoU 1/3, no gap
    losses = model.loss(made_up(torch.zeros(1, 1, 3), deltas, anchors), [target([0.0, 0, 10, 10])])
    assert losses["bbox_regression"].item() == pytest.approx(2 / 3, rel=1e-5)


def test_trainable_layers():
    model = create_model("retinanet_resnet50_fpn", num_classes=2, trainable_layers=3)
    frozen = {n for n, p in model.named_parameters() if not p.requires_grad}
    assert frozen and all(
        n.startswith(("backbone.body.conv1", "backbone.body.bn1", "backbone.body.layer1"))
        for n in frozen
    )


@pytest.mark.slow
def test_learns_digits():
    torch.manual_seed(0)
    scenes = DrawnDigits("train", length=2)
    images, targets = zip(*(scenes[i] for i in range(2)), strict=True)
    model = digits_retinanet.build()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    for _ in range(50):
        optimizer.zero_grad()
        sum(model.loss(model(images), targets).values()).backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
    assert evaluate_detector(model, scenes)["AP50"] > 0.8
    (found,) = model.predict(images[0], score_threshold=0.4)
    assert len(found) > 0
    assert found.draw(images[0]).size == (384, 384)  # enlarged, so that names have room
