"""Fast R-CNN: its sizes, its loss by hand, proposals given and found, and that it learns."""

import math

import pytest
import torch
from torch.utils.data import Subset

import fastcv
from fastcv.data import DrawnDigits, WithProposals
from fastcv.metrics import evaluate_detector
from fastcv.models import create_model
from fastcv.nn.detection.roi_heads import RoIHeads
from fastcv.ops import selective_search

TINY = {"num_classes": 3, "width": 8, "head_channels": 32, "min_size": 64, "max_size": 96}


def tiny(**options):
    torch.manual_seed(0)
    return create_model("fast_rcnn_resnet18", **{**TINY, **options})


def target(*boxes, label=1, proposals=((4.0, 4, 44, 44),)):
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "labels": torch.full((len(boxes),), label),
        "proposals": torch.tensor(proposals).reshape(-1, 4),
    }


def test_parameters():
    with torch.device("meta"):
        model = create_model("fast_rcnn_vgg16")
    assert sum(p.numel() for p in model.parameters()) == 134_690_729
    assert model.classes[20] == "tvmonitor"


def test_loss_by_hand():
    """Zero logits and offsets; one proposal a tenth of its width beside the object."""
    model = tiny(min_size=32, max_size=32)
    for layer in (model.roi_heads.box_predictor.cls_score, model.roi_heads.box_predictor.bbox_pred):
        torch.nn.init.zeros_(layer.weight)
    image = torch.rand(3, 32, 32)
    expected = target([4.0, 2, 14, 12], proposals=[[3.0, 2, 13, 12]])
    losses = model.loss(model([image]), [expected])
    assert losses["loss_classifier"].item() == pytest.approx(math.log(3))
    # The proposal: 10 * 0.1, smooth L1 of 1 is 0.5; the object's own box: 0; two samples.
    assert losses["loss_box_reg"].item() == pytest.approx(0.25)


def test_background_is_near_objects():
    """Proposals that overlap no object by a tenth are no samples, where there are objects."""
    heads: RoIHeads = tiny().roi_heads
    near, far, on = [0.0, 0, 30, 30], [50.0, 50, 60, 60], [10.0, 10, 40, 40]
    proposals, name = torch.tensor([near, far]), torch.tensor([2])
    boxes, label, _ = heads._samples(proposals, torch.tensor([on]), name)
    assert boxes.tolist() == [near, on] and label.tolist() == [0, 2]
    boxes, label, _ = heads._samples(proposals, torch.empty(0, 4), name[:0])
    assert boxes.tolist() == [near, far] and label.tolist() == [0, 0]


def test_every_parameter_learns():
    model = tiny()
    images = [torch.rand(3, 60, 80), torch.rand(3, 70, 50)]
    output = model(images)
    assert output.proposals is None and output.class_logits is None
    targets = [target([5.0, 5, 40, 50]), target([10.0, 10, 40, 60], label=2)]
    sum(model.loss(output, targets).values()).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_proposals_of_forward_or_of_the_targets():
    model, image, expected = tiny(), torch.rand(3, 60, 80), target([5.0, 5, 40, 50])
    for m in model.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.eval()
    of_targets = model.loss(model([image]), [expected])
    given = model.loss(model([image], [expected.pop("proposals")]), [expected])
    assert {k: v.item() for k, v in of_targets.items()} == {k: v.item() for k, v in given.items()}
    with pytest.raises(ValueError, match=r"targets\[0\] must have 'proposals', has \['boxes', 'la"):
        model.loss(model([image]), [expected])


def test_proposals_are_in_the_images_pixels():
    model = tiny().eval()
    output = model([torch.rand(3, 32, 40)], [torch.tensor([[1.0, 2, 11, 12]])])
    assert output.batch.sizes == [(64, 80)] and output.proposals[0].tolist() == [[2, 4, 22, 24]]
    with pytest.raises(ValueError, match=r"output is of training mode.*eval\(\) first"):
        model.train().detect(model.train()([torch.rand(3, 32, 40)]))


def test_predict_finds_proposals_or_takes_them():
    model, images = tiny(), [torch.rand(3, 60, 80), torch.rand(3, 64, 50)]
    boxes = [selective_search(image) for image in images]
    want = model.predict(images, proposals=boxes, score_threshold=0.2)
    got = model.predict(images, score_threshold=0.2)
    for a, b in zip(want, got, strict=True):
        assert len(a) > 0 and a.image_size == b.image_size and torch.equal(a.boxes, b.boxes)
    assert model.training
    (none,) = model.predict(images[0], proposals=[torch.empty(0, 4)])
    assert len(none) == 0


@pytest.mark.parametrize(
    ("proposals", "message"),
    [
        ([], "proposals must have one entry for each image, got 0 for 1"),
        ([torch.rand(3, 5)], r"proposals\[0\] must be a tensor \[N, 4\], got \[3, 5\]"),
        ([[1, 2, 3, 4]], r"proposals\[0\] must be a tensor \[N, 4\], got list"),
    ],
)
def test_wrong_proposals(proposals, message):
    for call in (tiny(), lambda *a: tiny().predict(a[0], proposals=a[1])):
        with pytest.raises(ValueError, match=message):
            call([torch.rand(3, 40, 40)], proposals)


def test_optimized_and_exported():
    model = tiny().eval()
    image, boxes = torch.rand(3, 64, 96), torch.tensor([[1.0, 2, 31, 42], [10.0, 10, 60, 60]])
    with torch.no_grad():
        want = model([image], [boxes])
        exported = torch.export.export(model, ([image], [boxes])).module()([image], [boxes])
        folded = fastcv.optimize(model)([image], [boxes])
    for got in (exported, folded):
        torch.testing.assert_close(got.class_logits, want.class_logits, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(got.box_deltas, want.box_deltas, rtol=1e-4, atol=1e-5)


def test_with_proposals():
    digits = DrawnDigits("val", size=(96, 96), length=3)
    data = WithProposals(digits, limit=40, min_side=10)
    assert len(data) == 3 and data.classes == digits.classes
    image, expected = data[-1]
    want = selective_search(image, min_side=10)[:40]
    assert torch.equal(expected["proposals"], want) and expected["image_id"] == 2
    assert data[2][1]["proposals"] is expected["proposals"]  # searched once
    with pytest.raises(ValueError, match="limit must be at least 1, got 0"):
        WithProposals(digits, limit=0)


@pytest.mark.slow
def test_the_papers_form_runs():
    torch.manual_seed(0)
    model = create_model("fast_rcnn_vgg16", num_classes=3, min_size=96, max_size=128)
    image, expected = torch.rand(3, 96, 120), target([8.0, 8, 90, 90])
    losses = model.loss(model([image]), [expected])
    # What a network that knows nothing says of three classes.
    assert losses["loss_classifier"].item() == pytest.approx(math.log(3), abs=0.3)
    with torch.inference_mode():
        output = model.eval()([image], [expected["proposals"]])
    assert output.features["0"].shape == (1, 512, 6, 8)  # stride 16
    assert output.class_logits.shape == (1, 3) and output.box_deltas.shape == (1, 3, 4)


@pytest.mark.slow
def test_learns_scenes():
    """Six scenes of digits by heart, in 80 steps."""
    scenes = WithProposals(DrawnDigits("train", size=(128, 128), max_digits=3), limit=300)
    scenes = Subset(scenes, range(6))
    scenes.classes = DrawnDigits.classes
    model = tiny(num_classes=11, width=16, head_channels=64, min_size=256, max_size=256)
    model.classes = DrawnDigits.classes
    images, targets = map(list, zip(*scenes, strict=True))
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
    for _ in range(80):
        optimizer.zero_grad()
        sum(model.loss(model(images), targets).values()).backward()
        optimizer.step()
    assert evaluate_detector(model, scenes)["AP50"] > 0.8
