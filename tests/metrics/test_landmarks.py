"""NME and PCK by hand."""

import math

import pytest
import torch

from fastcv.classes import DIGIT_KEYPOINTS
from fastcv.data import DrawnDigits
from fastcv.metrics import LandmarkMetrics, evaluate_landmarks
from fastcv.models import create_model

NAMES = ("a", "b", "c")


def test_by_hand():
    metrics = LandmarkMetrics(NAMES, max_error=0.1)
    targets = torch.tensor(
        [[[0.0, 0, 2], [10, 10, 1], [7, 7, 0]], [[50, 0, 2], [0, 0, 0], [9, 9, 2]]]
    )
    points = torch.tensor([[[3.0, 4], [10, 10], [99, 99]], [[50, 8], [-5, 5], [9, 19.01]]])
    # Errors: 5/50, 0, not there; 8/100, not there, 10.01/100.
    metrics.add(points[:1], targets[:1], torch.tensor([50.0]))
    metrics.add(points[1:], targets[1:], torch.tensor([100.0]))
    found = metrics.compute()
    assert found["nme"] == pytest.approx((0.1 + 0 + 0.08 + 0.1001) / 4, rel=1e-6)
    assert found["pck"] == 3 / 4
    assert found["pck_by_name"] == {"a": 1.0, "b": 1.0, "c": 0.0}


def test_any_scale():
    """The error is a share of the size: a picture twice as large changes nothing."""
    g = torch.Generator().manual_seed(0)
    targets = torch.cat([torch.rand(20, 3, 2, generator=g), torch.ones(20, 3, 1)], 2)
    points = targets[..., :2] + torch.randn(20, 3, 2, generator=g) * 0.1
    results = []
    for scale in (1.0, 2.0):
        metrics = LandmarkMetrics(NAMES, 0.15)
        scaled = torch.cat([targets[..., :2] * scale, targets[..., 2:]], 2)
        metrics.add(points * scale, scaled, torch.full((20,), scale))
        results.append(metrics.compute())
    assert results[0]["nme"] == pytest.approx(results[1]["nme"], rel=1e-6)
    assert results[0]["pck"] == results[1]["pck"] and 0 < results[0]["pck"] < 1


def test_what_is_nan_is_wrong():
    metrics = LandmarkMetrics(NAMES)
    points = torch.tensor([[[math.nan, 0], [math.inf, 0], [1.0, 1]]])
    metrics.add(points, torch.ones(1, 3, 3), torch.ones(1))
    assert metrics.compute()["pck"] == 1 / 3 and metrics.compute()["nme"] == math.inf


def test_nan_of_what_is_not_there():
    metrics = LandmarkMetrics(NAMES)
    points, targets = torch.full((1, 3, 2), math.nan), torch.zeros(1, 3, 3)
    metrics.add(points, targets, torch.ones(1))
    assert metrics.compute() == {"nme": None, "pck": None, "pck_by_name": dict.fromkeys(NAMES)}


def test_nothing():
    metrics = LandmarkMetrics(NAMES)
    metrics.add(torch.zeros(0, 3, 2), torch.zeros(0, 3, 3), torch.zeros(0))
    assert metrics.compute()["nme"] is None


@pytest.mark.parametrize(
    ("points", "targets", "sizes", "message"),
    [
        ((2, 3, 3), (2, 3, 3), (2,), r"points must be \[2, 3, 2\], got \[2, 3, 3\]"),
        ((2, 3, 2), (2, 2, 3), (2,), r"targets must be \[2, 3, 3\], got \[2, 2, 3\]"),
        ((2, 3, 2), (2, 3, 3), (2, 1), r"sizes must be \[2\], got \[2, 1\]"),
    ],
)
def test_wrong_shapes(points, targets, sizes, message):
    with pytest.raises(ValueError, match=message):
        LandmarkMetrics(NAMES).add(torch.ones(points), torch.ones(targets), torch.ones(sizes))


@pytest.mark.parametrize("size", [0.0, -1.0, math.nan])
def test_wrong_sizes(size):
    with pytest.raises(ValueError, match="sizes must be above 0, got"):
        LandmarkMetrics(NAMES).add(torch.ones(1, 3, 2), torch.ones(1, 3, 3), torch.tensor([size]))


class Told:
    """A model that knows the truth, but for a shift."""

    schema = DIGIT_KEYPOINTS

    def __init__(self, data, shift):
        self.data, self.shift, self.index = data, shift, 0

    def predict(self, image, *, boxes):
        _, target = self.data[self.index]
        self.index += 1
        assert torch.equal(boxes, target["boxes"])
        moved = target["keypoints"] + torch.tensor([self.shift, 0, 0])
        return [type("Found", (), {"keypoints": moved})]


def test_evaluation():
    data = DrawnDigits("val", size=(96, 96), length=4)
    found = evaluate_landmarks(Told(data, 3.1), data)
    errors = [
        3.1 / max(box[2] - box[0], box[3] - box[1])
        for _, target in (data[i] for i in range(4))
        for box, points in zip(target["boxes"].tolist(), target["keypoints"], strict=True)
        for point in points
        if point[2] > 0
    ]
    assert found["nme"] == pytest.approx(sum(errors) / len(errors), rel=1e-5)
    assert found["pck"] == sum(e <= 0.1 for e in errors) / len(errors)


def test_an_option_goes_to_predict():
    model = create_model("stacked_hourglass_2", keypoints=DIGIT_KEYPOINTS, channels=8, crop_size=64)
    data = DrawnDigits("val", size=(96, 96), length=1)
    with pytest.raises(ValueError, match="stack must be -2 to 1, got 2"):
        evaluate_landmarks(model, data, stack=2)


def test_targets_without_keypoints():
    model = create_model("stacked_hourglass_2", keypoints=DIGIT_KEYPOINTS, channels=8, crop_size=64)
    data = [(torch.rand(3, 8, 8), {"boxes": torch.zeros(0, 4)})]
    with pytest.raises(ValueError, match="the targets must have keypoints, they have boxes"):
        evaluate_landmarks(model, data)
