"""What holds for each detector that finds points."""

import pytest
import torch
from small_models import SMALL

from fastcv.data import DrawnDigits
from fastcv.metrics import evaluate_detector
from fastcv.models import create_model

NAMES = (
    "centernet_resdcn18",
    "centernet_dla34",
    "centernet_hourglass104",
    "cornernet_hourglass104",
    "centernet_triplet_hourglass104",
)


def make(name, **options):
    torch.manual_seed(0)
    return create_model(name, **{**SMALL[name].config, **options})


def target(*boxes, label=1):
    return {
        "boxes": torch.tensor(boxes).reshape(-1, 4),
        "labels": torch.full((len(boxes),), label),
    }


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("centernet_resdcn18", 14_437_349),
        ("centernet_resdcn101", 49_673_189),
        ("centernet_dla34", 19_675_892),
        ("centernet_hourglass104", 191_284_008),
        ("cornernet_hourglass104", 201_035_212),
        ("centernet_triplet_hourglass104", 210_062_960),
        ("centernet_triplet_hourglass52", 104_844_152),
    ],
)
def test_parameters(name, count):
    with torch.device("meta"):
        model = create_model(name)
    assert sum(p.numel() for p in model.parameters()) == count
    # COCO's 80 classes have a channel each, and the label that its files give them.
    assert len(model.labels) == 80 and model.labels[[0, 11, 79]].tolist() == [1, 13, 90]


@pytest.mark.parametrize("name", NAMES)
def test_images_without_objects(name):
    model = make(name)
    losses = model.loss(model([torch.rand(3, 60, 80)]), [target()])
    assert losses.pop("loss_heatmap") > 0
    assert all(x == 0 for x in losses.values())


def test_labels_of_cocos_gaps():
    model = make("centernet_resdcn18", num_classes=91)
    with pytest.raises(ValueError, match=r"targets\[0\]: label 12 is unused, it has no name"):
        model.loss(model([torch.rand(3, 60, 80)]), [target([1.0, 2, 9, 8], label=12)])
    losses = model.loss(model([torch.rand(3, 60, 80)]), [target([1.0, 2, 9, 8], label=90)])
    assert losses["loss_heatmap"].isfinite()


@pytest.mark.parametrize("name", NAMES)
def test_predict_draws(name):
    model = make(name)
    torch.nn.init.normal_(model.heads[-1].get_parameter(heatmap_weight(model)), std=3)
    image = torch.rand(3, 60, 80)
    (found,) = model.predict(image, score_threshold=0.0, max_detections=5)
    assert len(found) <= 5 and found.image_size == (60, 80)
    assert found.draw(image).width % 80 == 0
    x1, y1, x2, y2 = found.boxes.unbind(1)
    assert (x1 >= 0).all() and (y1 >= 0).all() and (x2 <= 80).all() and (y2 <= 60).all()
    assert (found.scores.diff() <= 0).all()
    assert set(found.labels.tolist()) <= {1, 2}


def heatmap_weight(model):
    keys = [key for key, _ in model.heads[-1].named_parameters()]
    return next(key for key in keys if key.endswith("heatmap.2.weight"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options", "rate", "steps"),
    [
        ("centernet_resdcn18", {"width": 16}, 1e-3, 80),
        ("centernet_hourglass104", {"stacks": 1}, 2e-3, 40),
        ("cornernet_hourglass104", {"stacks": 1, "size": 95}, 3e-3, 40),
        ("centernet_triplet_hourglass52", {"size": 95}, 3e-3, 40),
    ],
)
def test_learns_four_scenes(name, options, rate, steps):
    torch.manual_seed(0)
    if "hourglass" in name:
        options = {"dims": (32, 32, 48, 64), "modules": (1, 1, 1, 1), **options}
    model = create_model(name, num_classes=11, **{"size": 96, **options})
    model.classes = DrawnDigits.classes
    scenes = DrawnDigits("train", size=(96, 96), length=4, max_digits=3, digit_size=(24, 48))
    images, targets = zip(*(scenes[i] for i in range(4)), strict=True)
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        sum(model.loss(model(images), targets).values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
    assert evaluate_detector(model, scenes)["AP50"] > 0.9
