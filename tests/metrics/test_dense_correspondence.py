"""GPS and its AP, written out point by point; boxes against COCO's evaluator."""

import math

import pytest
import torch

from fastcv.data import DrawnBodies
from fastcv.metrics import (
    DenseCorrespondenceMetrics,
    coco_metrics,
    evaluate_dense_correspondence,
    geodesic_point_similarity,
)
from fastcv.metrics.dense_correspondence import THRESHOLDS, average_precision
from fastcv.models import create_model
from fastcv.results import DenseCorrespondence
from fastcv.results.dense_correspondence import window_of

SIZE, CHARTS = (40, 50), 3


def some_boxes(generator, n):
    low = torch.rand(n, 2, generator=generator) * 20
    return torch.cat([low, low + 8 + 12 * torch.rand(n, 2, generator=generator)], dim=1)


def scene(generator, objects=3, extra=2, points=6):
    """A target, and finds near its objects and elsewhere, on surfaces that are right in parts."""
    boxes = some_boxes(generator, objects)
    labels = torch.randint(1, 3, (objects,), generator=generator)
    share = torch.rand(objects, points, 2, generator=generator)
    places = boxes[:, None, :2] + share * (boxes[:, None, 2:] - boxes[:, None, :2])
    charts = torch.randint(CHARTS + 1, (objects, points, 1), generator=generator)
    charts[:, 0] = 1  # a point at least
    target = {
        "boxes": boxes,
        "labels": labels,
        "dense_keypoints": torch.cat([places, charts], dim=2),
        "dense_uv": torch.rand(objects, points, 2, generator=generator),
    }
    found = torch.cat(
        [boxes + torch.randn(objects, 4, generator=generator), some_boxes(generator, extra)]
    )
    surfaces = []
    for i, box in enumerate(found.tolist()):
        left, top, right, bottom = window_of(box, SIZE)
        shape = (max(bottom - top, 0), max(right - left, 0))
        chart = torch.randint(CHARTS + 1, shape, generator=generator)
        surface = torch.stack([chart.float(), *torch.rand(2, *shape, generator=generator)])
        if i < objects:  # right, or nearly, around most of its points
            for (x, y, true), uv in zip(
                target["dense_keypoints"][i], target["dense_uv"][i], strict=True
            ):
                column, row = int(x) - left, int(y) - top
                inside = 0 <= row < shape[0] and 0 <= column < shape[1]
                if inside and torch.rand((), generator=generator) < 0.8:
                    off = 0.15 * torch.randn(2, generator=generator)
                    surface[:, row, column] = torch.cat([true[None], (uv + off).clamp(0, 1)])
        surfaces.append(surface)
    n = len(found)
    result = DenseCorrespondence(
        found,
        torch.rand(n, generator=generator),
        torch.cat([labels, torch.randint(1, 3, (extra,), generator=generator)]),
        ("background", "a", "b"),
        SIZE,
        surfaces=tuple(surfaces),
        charts=CHARTS,
    )
    return target, result


def gps_by_hand(target, i, found, j):
    """The mean of exp(-d^2 / (2 * 0.255^2)) over the points of object i, as find j has them."""
    total, number = 0.0, 0
    left, top, right, bottom = window_of(found.boxes[j].tolist(), SIZE)
    for (x, y, chart), uv in zip(
        target["dense_keypoints"][i].tolist(), target["dense_uv"][i].tolist(), strict=True
    ):
        if chart == 0:
            continue
        number += 1
        x, y = math.floor(x), math.floor(y)
        if left <= x < right and top <= y < bottom:
            predicted, u, v = found.surfaces[j][:, y - top, x - left].tolist()
            if predicted == chart:
                d = math.hypot(u - uv[0], v - uv[1])
                total += math.exp(-d * d / (2 * 0.255**2))
    return total / number


def ap_by_hand(scenes, similarity, threshold):
    """The mean over labels of the precision at 101 recalls."""
    values = []
    for label in (1, 2):
        rows, objects = [], 0
        for target, found in scenes:
            left = [i for i, own in enumerate(target["labels"].tolist()) if own == label]
            objects += len(left)
            order = sorted(range(len(found)), key=lambda j: -float(found.scores[j]))
            for j in order:
                if int(found.labels[j]) != label:
                    continue
                best = max(left, key=lambda i: similarity(target, i, found, j), default=None)
                hit = best is not None and similarity(target, best, found, j) >= threshold
                if hit:
                    left.remove(best)
                rows.append((float(found.scores[j]), hit))
        if not objects:
            continue
        rows.sort(key=lambda row: -row[0])
        precisions, recalls, right = [], [], 0
        for number, (_, hit) in enumerate(rows, 1):
            right += hit
            precisions.append(right / number)
            recalls.append(right / objects)
        total = 0.0
        for step in range(101):
            there = [p for p, r in zip(precisions, recalls, strict=True) if r >= step / 100 - 1e-12]
            total += max(there, default=0.0)
        values.append(total / 101)
    return sum(values) / len(values)


@pytest.mark.parametrize("seed", range(4))
def test_ap_of_gps_by_hand(seed):
    generator = torch.Generator().manual_seed(seed)
    scenes = [scene(generator, objects, extra) for objects, extra in ((3, 2), (1, 0), (4, 3))]
    metrics = DenseCorrespondenceMetrics()
    for target, found in scenes:
        metrics.add(target, found)
    values = metrics.compute()
    expected = [ap_by_hand(scenes, gps_by_hand, t) for t in THRESHOLDS]
    assert values["AP50"] == pytest.approx(expected[0], abs=1e-9) and expected[0] > 0.1
    assert values["AP75"] == pytest.approx(expected[5], abs=1e-9)
    assert values["AP"] == pytest.approx(sum(expected) / 10, abs=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_ap_of_boxes_is_cocos(seed):
    pytest.importorskip("pycocotools")
    generator = torch.Generator().manual_seed(seed)
    scenes = [scene(generator, 3, 4) for _ in range(5)]
    metrics = DenseCorrespondenceMetrics()
    annotations, found = [], []
    for image_id, (target, result) in enumerate(scenes, 1):
        metrics.add(target, result)
        found.append(result)
        for box, label in zip(target["boxes"].tolist(), target["labels"].tolist(), strict=True):
            x1, y1, x2, y2 = box
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": label,
                    "iscrowd": 0,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                }
            )
    truth = {
        "images": [{"id": i, "height": 40, "width": 50} for i in range(1, 6)],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "annotations": annotations,
    }
    assert metrics.compute()["box_AP"] == pytest.approx(coco_metrics(truth, found)["AP"], abs=1e-6)


def test_points_of_a_found_object_by_hand():
    """Four points: right; right chart, off by .2 and .4; wrong chart; nothing there."""
    target = {
        "boxes": torch.tensor([[0.0, 0, 4, 2]]),
        "labels": torch.tensor([1]),
        "dense_keypoints": torch.tensor([[[i + 0.5, 0.5, 1.0] for i in range(4)] + [[0.0] * 3]]),
        "dense_uv": torch.full((1, 5, 2), 0.5),
    }
    surface = torch.zeros(3, 2, 4)
    surface[:, 0] = torch.tensor([[1, 1, 2, 0], [0.5, 0.7, 0.5, 0], [0.5, 0.1, 0.5, 0]])
    found = DenseCorrespondence(
        target["boxes"],
        torch.tensor([0.5]),
        torch.tensor([1]),
        ("background", "a"),
        (2, 4),
        surfaces=(surface,),
        charts=2,
    )
    metrics = DenseCorrespondenceMetrics()
    metrics.add(target, found)
    values = metrics.compute()
    assert values["I_accuracy"] == 0.5
    assert values["UV_error"] == pytest.approx((0 + 0 + 0.2 + 0.4) / 4)
    near = math.exp(-(0.2**2 + 0.4**2) / (2 * 0.255**2))
    assert values["GPS"] == pytest.approx((1 + near + 0 + 0) / 4)
    # Of a surface that is known, the wrong chart is no infinite way off.
    known = DenseCorrespondenceMetrics(lambda a, b: (a - b).abs().sum(dim=-1) / 10, kappa=0.1)
    known.add(target, found)
    one = [0, 0.06, 0.1]
    expected = sum(math.exp(-d * d / 0.02) for d in one) / 4
    assert known.compute()["GPS"] == pytest.approx(expected, rel=1e-5)


def test_perfect_finds():
    """The key of a data set as a model's result."""
    metrics = DenseCorrespondenceMetrics(DrawnBodies.surface_distance)
    data = DrawnBodies("val", size=(96, 96), body_size=(50, 70), length=3)
    for _, target in data:
        surfaces = []
        for box, surface in zip(target["boxes"].tolist(), target["surfaces"], strict=True):
            left, top, right, bottom = window_of(box, (96, 96))
            surfaces.append(surface[:, top:bottom, left:right])
        metrics.add(
            target,
            DenseCorrespondence(
                target["boxes"],
                torch.ones(len(surfaces)),
                target["labels"],
                data.classes,
                (96, 96),
                surfaces=tuple(surfaces),
                charts=6,
            ),
        )
    values = metrics.compute()
    best = {"AP": 1, "AP50": 1, "AP75": 1, "box_AP": 1, "GPS": 1, "I_accuracy": 1, "UV_error": 0}
    assert values == pytest.approx(best, abs=1e-6)


def test_what_does_not_count():
    """Crowds, objects without a point, and images where nothing is found."""
    generator = torch.Generator().manual_seed(0)
    target, found = scene(generator, 3, 0)
    alone = {key: value[:1] for key, value in target.items()}
    crowd = {**target, "iscrowd": torch.tensor([False, True, True])}
    pointless = {**target, "dense_keypoints": target["dense_keypoints"].clone()}
    pointless["dense_keypoints"][1:, :, 2] = 0
    values = []
    for own in (alone, crowd, pointless):
        metrics = DenseCorrespondenceMetrics()
        metrics.add(own, found[:1])
        values.append(metrics.compute())
    assert values[0] == values[1] == values[2]
    metrics = DenseCorrespondenceMetrics()
    metrics.add(target, found[:0])
    assert metrics.compute() == {"AP": 0, "AP50": 0, "AP75": 0, "box_AP": 0}
    for nothing in (
        DenseCorrespondenceMetrics(),
        metrics_of({key: value[:0] for key, value in target.items()}, found),
    ):
        with pytest.raises(ValueError, match="there are no objects with points to measure on"):
            nothing.compute()


def metrics_of(target, found):
    metrics = DenseCorrespondenceMetrics()
    metrics.add(target, found)
    return metrics


def test_similarity():
    d = torch.tensor([0.0, 0.1, 0.255, 0.5, math.inf], dtype=torch.float64)
    expected = [math.exp(-x * x / (2 * 0.255**2)) for x in d.tolist()]
    assert geodesic_point_similarity(d).tolist() == pytest.approx(expected)
    assert geodesic_point_similarity(torch.tensor(1.0), kappa=1.0) == pytest.approx(math.exp(-0.5))


@pytest.mark.parametrize(
    ("hits", "objects", "expected"),
    [
        ([], 3, 0.0),
        ([False, False], 1, 0.0),
        ([True], 1, 1.0),
        ([False, True], 1, 0.5),
        ([True, False, True], 2, (51 + 50 * 2 / 3) / 101),
        ([True], 4, 26 / 101),
    ],
)
def test_average_precision_by_hand(hits, objects, expected):
    assert average_precision(hits, objects) == pytest.approx(expected)


def test_another_model():
    model = create_model("fasterrcnn_resnet18_fpn", num_classes=2, width=8, min_size=64)
    data = DrawnBodies("val", size=(64, 64), body_size=(40, 50), length=1)
    with pytest.raises(ValueError, match="must be one of dense pose: FasterRCNN gives Detections"):
        evaluate_dense_correspondence(model, data)
