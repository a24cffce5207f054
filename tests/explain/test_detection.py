"""The steps that are drawn are those that the detectors take."""

import pytest
import torch
from PIL import Image

from fastcv import cli
from fastcv.data import DrawnDigits
from fastcv.explain import detection_steps, nms_steps
from fastcv.models import create_model, load_model
from fastcv.nn.detection.matching import BELOW, BETWEEN
from fastcv.ops import box_iou
from fastcv.recipes.detection.digits_detector.recipe import WEIGHTS


def small(name):
    """A detector, its options, and how many levels of anchors it has."""
    torch.manual_seed(0)
    options = {"num_classes": 3, "width": 8}
    if name.startswith("yolo"):
        model = create_model(name, grid=3, last_stride=1, hidden=16, **options)
        torch.nn.init.uniform_(model.head[-1].bias, 0.3, 1.0)  # large boxes, and sure of them
        return model
    if name.startswith("detr"):
        return create_model(name, channels=16, heads=2, min_size=96, max_size=160, **options)
    if name.startswith("ssd"):
        return create_model(name, **options)
    return create_model(name, min_size=96, max_size=160, fpn_channels=16, **options)


DETECTORS = ["fasterrcnn_resnet18_fpn", "retinanet_resnet18_fpn", "ssd_resnet18", "yolov1"]


@pytest.mark.parametrize("name", DETECTORS)
def test_after_the_steps_is_what_the_detector_finds(name):
    model, image = small(name), torch.rand(3, 96, 128)
    options = {"score_threshold": 0.005, "iou_threshold": 0.4}
    steps = detection_steps(model, image, **options)
    (found,) = model.predict(image, max_detections=100_000, **options)
    count = len(steps.found)
    assert 0 < count < len(steps.candidates)
    assert count == len(found) or len(steps.candidates) == 2000
    assert torch.equal(steps.found.boxes, found.boxes[:count])
    assert torch.equal(steps.found.labels, found.labels[:count])
    assert torch.equal(steps.found.scores, found.scores[:count])
    every = sorted(i for step in steps.steps for i in (step.kept, *step.dropped))
    assert every == list(range(len(steps.candidates)))
    assert model.training


@pytest.mark.parametrize("name", DETECTORS[:3])
def test_anchors_are_in_the_images_pixels(name):
    """Twice the image, resized to the same input: twice the anchors."""
    model, image = small(name), torch.rand(3, 96, 128)
    large = image.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    one, two = detection_steps(model, image), detection_steps(model, large)
    assert len(one.anchors) > 1
    for a, b in zip(one.anchors, two.anchors, strict=True):
        torch.testing.assert_close(2 * a, b)


def test_matching_is_the_detectors():
    model = small("fasterrcnn_resnet18_fpn")
    truth = torch.tensor([[10.0, 12, 50, 60], [70.0, 20, 110, 90]])
    steps = detection_steps(model, torch.rand(3, 96, 128), truth=truth)
    iou = box_iou(truth, torch.cat(steps.anchors))
    best = iou.amax(dim=0)
    of_an_object = (iou == iou.amax(dim=1, keepdim=True)).any(dim=0)
    assert torch.equal(steps.matches >= 0, (best >= 0.7) | of_an_object)  # the RPN's thresholds
    assert (best[steps.matches == BELOW] < 0.3).all()
    assert (best[steps.matches == BETWEEN] >= 0.3).all()


def test_detr_has_neither_anchors_nor_suppression(tmp_path):
    model, image = small("detr_resnet18"), torch.rand(3, 96, 128)
    steps = detection_steps(model, image, score_threshold=0.0)
    assert steps.anchors == [] and steps.steps == [] and len(steps.matches) == 0
    assert len(steps.found) == len(steps.candidates) == 100
    assert [len(axes.patches) for axes in steps.figure().axes] == [100, 100]


def test_classes_do_not_suppress_each_other():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 9], [0.0, 0, 9, 10]])
    scores, labels = torch.tensor([0.9, 0.8, 0.7]), torch.tensor([1, 2, 1])
    assert nms_steps(boxes, scores, 0.5, labels) == [(0, [2]), (1, [])]
    assert nms_steps(boxes, scores, 0.5) == [(0, [1, 2])]


def test_the_command(tmp_path, capsys):
    image, _ = DrawnDigits("test")[5]
    picture, out = tmp_path / "scene.png", tmp_path / "new" / "steps.png"
    pixels = (image * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(picture)
    arguments = ["explain", "detection", str(picture), "--weights", str(WEIGHTS)]
    assert cli.main([*arguments, "--out", str(out)]) == 0
    predicted = capsys.readouterr().out
    steps = detection_steps(load_model(WEIGHTS), picture)
    assert predicted.startswith(f"{sum(map(len, steps.anchors))} anchors, ")
    assert f"{len(steps.candidates)} boxes that score, {len(steps.found)} after NMS" in predicted
    with Image.open(out) as drawn:
        assert drawn.size[0] > 1000
    axes = steps.figure().axes
    assert len(axes) == 6 and all(a.get_title() and a.images for a in axes)
    anchors = torch.cat(steps.anchors)
    assert axes[0].get_title().startswith(f"{len(anchors):,} anchors")
    assert len(axes[1].patches) == int((steps.matches >= 0).sum()) + len(steps.objects)
    assert len(axes[5].patches) == len(steps.found)


def test_no_detector(tmp_path, capsys, monkeypatch):
    with pytest.raises(TypeError, match=r"model must be a detector, with detect\(\), got ResNet"):
        detection_steps(create_model("resnet18", num_classes=2, width=8), torch.rand(3, 32, 32))


@pytest.mark.parametrize("name", ["folder", "steps.json", "steps.xyz", "steps", ".png"])
def test_where_the_figure_cannot_go(name, tmp_path):
    steps = detection_steps(small("yolov1"), torch.rand(3, 96, 128))
    with pytest.raises(ValueError, match=r"path must end in one of \.avif .* \.png .*, got"):
        steps.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_truth_that_is_no_boxes():
    model, image = small("yolov1"), torch.rand(3, 96, 128)
    with pytest.raises(TypeError, match="truth must be a tensor, got list"):
        detection_steps(model, image, truth=[[0, 0, 1, 1]])
    for shape in ((4,), (2, 3), (1, 2, 4)):
        with pytest.raises(ValueError, match=r"truth must be \[K, 4\], got"):
            detection_steps(model, image, truth=torch.rand(shape))
