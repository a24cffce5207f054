"""Faster R-CNN: its sizes, its errors, and that it learns."""

import pytest
import torch

from fastcv.models import create_model
from fastcv.models._registry import find_model
from fastcv.models._weights import load_state_dict
from fastcv.nn.detection.transform import resize_boxes
from fastcv.nn.layers.frozen_batch_norm import FrozenBatchNorm2d
from fastcv.ops import box_iou

TINY = {
    "num_classes": 3,
    "width": 8,
    "fpn_channels": 16,
    "head_channels": 32,
    "min_size": 64,
    "max_size": 96,
}
LOSSES = {"loss_objectness", "loss_rpn_box_reg", "loss_classifier", "loss_box_reg"}


def tiny(**options):
    torch.manual_seed(0)
    return create_model("fasterrcnn_resnet18_fpn", **{**TINY, **options})


def target(*boxes, label=1):
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "labels": torch.full((len(boxes),), label),
    }


@pytest.mark.parametrize(
    ("name", "options", "count"),
    [
        ("fasterrcnn_resnet50_fpn", {}, 41_808_406),
        ("fasterrcnn_resnet50_fpn", {"frozen_norm": True}, 41_755_286),
        ("fasterrcnn_vgg16", {}, 137_078_239),
    ],
)
def test_parameters(name, options, count):
    with torch.device("meta"):
        model = create_model(name, **options)
    assert sum(p.numel() for p in model.parameters()) == count


def test_published_weights():
    (weights,) = find_model("fasterrcnn_resnet50_fpn").weights
    assert weights.url.endswith(f"fasterrcnn_resnet50_fpn_coco-{weights.sha256}.pth")
    assert weights.metric == {"box mAP": 37.0}
    assert len(weights.classes) == 91 and weights.classes[90] == "toothbrush"
    with torch.device("meta"):
        model = create_model("fasterrcnn_resnet50_fpn", **weights.config)
    norms = [m for m in model.modules() if isinstance(m, FrozenBatchNorm2d)]
    assert len(norms) == 53 and all(norm.eps == 0 for norm in norms)  # as they were trained


def test_frozen_and_trained_norms_take_each_others_weights():
    """Published weights have frozen norms, which lack the counters of BatchNorm2d."""
    models = [
        create_model("fasterrcnn_resnet50_fpn", num_classes=2, frozen_norm=frozen)
        for frozen in (False, True)
    ]
    for model, other in (models, models[::-1]):
        load_state_dict(model, dict(other.state_dict()), "does not fit")
        first, second = (m.backbone.body.layer4[2].conv3.weight for m in models)
        assert torch.equal(first, second)


def test_training_output_stops_at_the_proposals():
    model = tiny()
    output = model([torch.rand(3, 60, 80)])
    assert output.class_logits is None and len(output.proposals[0]) > 0
    with pytest.raises(ValueError, match=r"output is of training mode.*eval\(\) first"):
        model.postprocess(output)


def test_loss_in_evaluation_is_that_of_the_same_proposals():
    model = tiny().eval()
    images, targets = [torch.rand(3, 60, 80)], [target([5.0, 5, 40, 50])]
    with torch.no_grad():
        losses = model.loss(model(images), targets)
    assert set(losses) == LOSSES


def test_names():
    assert tiny().classes == ("background", "class 1", "class 2")
    with torch.device("meta"):
        assert create_model("fasterrcnn_vgg16").classes[20] == "tvmonitor"


@pytest.fixture(scope="module")
def trained():
    """Learns two pictures, a bright and a dark rectangle in each, until it knows them."""
    torch.manual_seed(1)
    images = [0.5 + 0.02 * torch.randn(3, 96, 128), 0.5 + 0.02 * torch.randn(3, 128, 100)]
    targets = [
        {
            "boxes": torch.tensor([[10.0, 12, 60, 50], [70.0, 30, 110, 90]]),
            "labels": torch.tensor([1, 2]),
        },
        {
            "boxes": torch.tensor([[20.0, 60, 80, 110], [50.0, 8, 90, 48]]),
            "labels": torch.tensor([1, 2]),
        },
    ]
    for image, expected in zip(images, targets, strict=True):
        for box, label in zip(expected["boxes"].int().tolist(), expected["labels"], strict=True):
            x1, y1, x2, y2 = box
            image[:, y1:y2, x1:x2] = 1.0 if label == 1 else 0.0
    model = tiny(width=16, fpn_channels=32, head_channels=64, min_size=96, max_size=128)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(60):
        optimizer.zero_grad()
        sum(model.loss(model(images), targets).values()).backward()
        optimizer.step()
    return model, images, targets


@pytest.mark.slow
def test_learns(trained):
    model, images, targets = trained
    for found, expected in zip(
        model.predict(images, score_threshold=0.5, batch_size=2), targets, strict=True
    ):
        assert sorted(found.labels.tolist()) == [1, 2]
        iou = box_iou(found.boxes[found.labels.argsort()], expected["boxes"]).diagonal()
        assert iou.min() > 0.6


@pytest.mark.slow
def test_boxes_are_in_the_given_images_pixels(trained):
    """An image of twice the size is resized to the same input: its boxes are twice as large."""
    model, images, _ = trained
    large = torch.nn.functional.interpolate(images[0][None], scale_factor=2.0)[0]
    (small_found,) = model.predict(images[0], score_threshold=0.5)
    (large_found,) = model.predict(large, score_threshold=0.5)
    assert large_found.image_size == (192, 256)
    want = resize_boxes(small_found.boxes, small_found.image_size, large_found.image_size)
    assert box_iou(large_found.boxes, want).diagonal().min() > 0.9


@pytest.mark.slow
def test_the_papers_form_runs():
    torch.manual_seed(0)
    model = create_model("fasterrcnn_vgg16", num_classes=3, min_size=160, max_size=200)
    images = [torch.rand(3, 160, 190)]
    losses = model.loss(model(images), [target([8.0, 8, 150, 150])])
    # What a network that knows nothing says: two ways of being an object, three classes.
    assert set(losses) == LOSSES
    assert losses["loss_objectness"].item() == pytest.approx(0.693, abs=0.1)
    assert losses["loss_classifier"].item() == pytest.approx(1.099, abs=0.3)
    with torch.inference_mode():
        output = model.eval()(images)
    assert output.features["0"].shape == (1, 512, 10, 12)  # stride 16
    assert output.rpn.objectness[0].shape == (1, 10 * 12 * 9)
    assert output.class_logits.shape[1:] == (3,) and output.box_deltas.shape[1:] == (3, 4)


def test_channels_last_changes_nothing():
    model, image = tiny().eval(), torch.rand(3, 60, 80)
    with torch.no_grad():
        want = model([image])
        got = model.to(memory_format=torch.channels_last)([image])
    torch.testing.assert_close(got.rpn.objectness, want.rpn.objectness, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(got.class_logits, want.class_logits, rtol=1e-4, atol=1e-4)
