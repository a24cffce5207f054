"""The detector that ships reaches what its page says, and its recipe and demo run."""

import json
import re
from dataclasses import replace

import pytest
import torch
from PIL import Image
from safetensors import safe_open

from fastcv import recipes
from fastcv.data import DrawnDigits
from fastcv.models import load_model
from fastcv.recipes.detection import _show, digits_detector
from fastcv.recipes.detection.digits_detector import recipe
from fastcv.results import Detections

CLASSES = ("background", *"0123456789")


def test_shipped_weights():
    assert recipe.WEIGHTS.stat().st_size < 15e6
    with safe_open(recipe.WEIGHTS, framework="pt") as file:
        assert json.loads(file.metadata()["model"]) == "fasterrcnn_resnet18_fpn"
    assert load_model(recipe.WEIGHTS).classes == CLASSES


@pytest.mark.slow
def test_reaches_its_level():
    metrics = digits_detector.evaluate(device="cpu")
    assert metrics["AP50"] >= 0.90
    # As stated, but for the order of sums, which another machine may take otherwise.
    for name, value in digits_detector.RECIPE.level.metrics.items():
        assert metrics[name] == pytest.approx(value, abs=0.01)
    assert min(metrics["AP50_by_class"].values()) >= 0.75  # no digit is left behind


@pytest.mark.slow
def test_trains(tmp_path):
    splits = ("train", "val", "test")
    data = {split: lambda split=split: DrawnDigits(split, length=16) for split in splits}
    small = replace(recipes.get("digits_detector"), data=data)
    metrics = small.train(tmp_path, epochs=1, device="cpu")
    assert 0 <= metrics["AP50"] < 0.5  # two steps teach little
    model = load_model(tmp_path / "digits_detector.safetensors")
    assert model.classes == CLASSES
    before = digits_detector.build().state_dict()
    after = model.state_dict()
    assert list(before) == list(after)
    trained = [k for k in before if not torch.equal(before[k].half(), after[k].half())]
    assert any(k.startswith("roi_heads") for k in trained)


def found(*rows):
    boxes = torch.tensor([[float(c) for c in box] for box, _ in rows]).reshape(-1, 4)
    labels = torch.tensor([label for _, label in rows], dtype=torch.int64)
    return Detections(boxes, torch.ones(len(rows)), labels, CLASSES, (100, 100))


@pytest.mark.parametrize(
    ("rows", "hits"),
    [
        ([], 0),
        ([((0, 0, 10, 10), 1)], 1),
        ([((0, 0, 10, 10), 2)], 0),  # another digit
        ([((0, 0, 10, 4), 1)], 0),  # IoU 0.4
        ([((0, 0, 10, 10), 1), ((0, 0, 10, 9), 1)], 1),  # the same one twice
        ([((0, 0, 10, 10), 1), ((50, 50, 60, 60), 3)], 2),
    ],
)
def test_matches(rows, hits):
    target = {
        "boxes": torch.tensor([[0.0, 0, 10, 10], [50, 50, 60, 60]]),
        "labels": torch.tensor([1, 3]),
    }
    assert _show.matches(found(*rows), target) == hits


def test_demo(tmp_path, capsys):
    digits_detector.demo(tmp_path)
    printed = capsys.readouterr().out
    right, true, wrong = map(
        int, re.search(r"together: (\d+) of (\d+) found, (\d+) wrong", printed).groups()
    )
    assert true == sum(len(DrawnDigits("test")[i][1]["labels"]) for i in _show.SCENES)
    assert right >= 0.8 * true and wrong <= 0.2 * true
    stages = dict(re.findall(r"(\S.*?) +(\d+\.\d\d) ms a scene", printed))
    assert list(stages) == ["backbone", "RPN", "RoIAlign", "heads", "NMS", "everything else"]
    assert all(float(ms) > 0 for ms in stages.values())
    with Image.open(tmp_path / "digits.png") as picture:
        assert picture.size == (3 * 384 + 4 * 8, 2 * 384 + 3 * 8)
