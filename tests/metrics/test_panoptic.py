"""Panoptic quality: by hand, against its definition in plain loops, and against torchmetrics."""

import random

import pytest
import torch
from torchmetrics.detection import PanopticQuality

from fastcv.metrics import PanopticMetrics, evaluate_panoptic
from fastcv.results import Panoptic

CLASSES, THINGS = ("grass", "sky", "cat", "dog"), (2, 3)


def panoptic(ids, labels, crowds=()):
    ids = torch.as_tensor(ids, dtype=torch.int32)
    return Panoptic.from_map(
        ids[None] if ids.ndim == 1 else ids, labels, CLASSES, THINGS, crowds=crowds
    )


def measured(*pairs):
    metrics = PanopticMetrics(CLASSES, THINGS)
    for found, target in pairs:
        metrics.add(found, target)
    return metrics.compute()


# By hand.


def test_the_example_of_the_docs():
    """Two cats, one found whole, one with half; a dog that is not there; grass."""
    target = panoptic([1] * 10 + [2] * 6 + [3] * 4, {1: 0, 2: 2, 3: 2})
    found = panoptic([1] * 9 + [5] * 7 + [6] * 2 + [7] * 2, {1: 0, 5: 2, 6: 2, 7: 3})
    values = measured((found, target))
    assert values["PQ_by_class"]["grass"] == pytest.approx(9 / 10)
    # Cats: one match with 6 of 7 pixels; the other has 2 of 4 pixels, an IoU of 0.5, not above it.
    assert values["SQ_by_class"]["cat"] == pytest.approx(6 / 7)
    assert values["RQ_by_class"]["cat"] == pytest.approx(1 / 2)
    assert values["PQ_by_class"]["cat"] == pytest.approx(6 / 7 / 2)
    assert values["PQ_by_class"]["dog"] == 0
    assert "sky" not in values["PQ_by_class"]
    assert values["PQ"] == pytest.approx((9 / 10 + 3 / 7 + 0) / 3)
    assert values["PQ_things"] == pytest.approx(3 / 14)
    assert values["PQ_stuff"] == values["RQ_stuff"] * values["SQ_stuff"] == pytest.approx(9 / 10)


def test_void_leaves_the_union():
    target = panoptic([0] * 5 + [2] * 5, {2: 2})
    found = panoptic([4] * 10, {4: 2})
    assert measured((found, target))["PQ"] == 1.0  # 5 of 10 - 5
    # Void of the prediction does not.
    found = panoptic([0] * 2 + [4] * 8, {4: 2})
    assert measured((found, panoptic([2] * 10, {2: 2})))["SQ"] == 0.8


@pytest.mark.parametrize(("in_void", "wrong"), [(5, 1), (6, 0)])
def test_predictions_in_void_are_not_wrong_if_more_than_half(in_void, wrong):
    target = panoptic([0] * in_void + [1] * 30, {1: 0})
    found = panoptic([4] * 10 + [1] * (20 + in_void), {4: 2, 1: 0})
    metrics = PanopticMetrics(CLASSES, THINGS)
    metrics.add(found, target)
    assert metrics.matches.fp == [0, 0, wrong, 0]


@pytest.mark.parametrize(("label", "wrong"), [(2, 0), (3, 1)])
def test_predictions_in_a_crowd_of_their_class_are_not_wrong(label, wrong):
    target = panoptic([2] * 6 + [1] * 8, {2: 2, 1: 0}, crowds={2})
    found = panoptic([4] * 3 + [5] * 3 + [1] * 8, {4: label, 5: label, 1: 0})
    metrics = PanopticMetrics(CLASSES, THINGS)
    metrics.add(found, target)
    assert metrics.matches.fp[label] == 2 * wrong
    assert metrics.matches.fn == [0, 0, 0, 0]  # a crowd is not missed
    # Nor found.
    metrics = PanopticMetrics(CLASSES, THINGS)
    metrics.add(panoptic([4] * 6 + [1] * 8, {4: 2, 1: 0}), target)
    assert metrics.matches.tp == [1, 0, 0, 0]


def test_void_and_crowd_together_make_more_than_half():
    target = panoptic([0] * 3 + [2] * 3 + [1] * 5, {2: 2, 1: 0}, crowds={2})
    found = panoptic([4] * 10 + [0], {4: 2})
    metrics = PanopticMetrics(CLASSES, THINGS)
    metrics.add(found, target)
    assert metrics.matches.fp == [0, 0, 0, 0]


def test_void_everywhere():
    void, cat = panoptic([0] * 6, {}), panoptic([4] * 6, {4: 2})
    with pytest.raises(ValueError, match="there are no segments to measure on"):
        measured((void, void))
    with pytest.raises(ValueError, match="there are no segments to measure on"):
        measured((cat, void))  # wrong nowhere
    assert measured((void, cat))["PQ"] == 0
    assert measured((void, void), (cat, cat))["PQ"] == 1


def test_bad_input():
    metrics = PanopticMetrics(CLASSES[:2], ())
    with pytest.raises(ValueError, match="found and target must be of one size, got 1x6 and 1x5"):
        PanopticMetrics(CLASSES, THINGS).add(panoptic([0] * 6, {}), panoptic([0] * 5, {}))
    for pair in ((4, 0), (0, 4)):
        found, target = (panoptic([id] * 6, {id: 2} if id else {}) for id in pair)
        with pytest.raises(ValueError, match="labels must be 0 to 1, segment 4 has 2"):
            metrics.add(found, target)


# Against the definition.


def by_definition(pairs):
    """PQ, SQ and RQ by label, from sets of pixels; as the paper and COCO's rules have it."""
    sums = {label: [0.0, 0, 0, 0] for label in range(len(CLASSES))}
    for found, target in pairs:

        def pixels(x, id):
            return {i for i, value in enumerate(x.segment_map.flatten().tolist()) if value == id}

        void = pixels(target, 0)
        predicted = [(s.label, pixels(found, s.id)) for s in found.segments]
        truth = [(s.label, pixels(target, s.id), s.is_crowd) for s in target.segments]
        matched = set()
        for i, (label, p) in enumerate(predicted):
            ignored = len(p & void)
            for other, t, crowd in truth:
                if crowd:
                    ignored += len(p & t) if other == label else 0
                elif other == label:
                    iou = len(p & t) / len((p | t) - (p & void))
                    if iou > 0.5:
                        matched.add(i)
                        sums[label][0] += iou
                        sums[label][1] += 1
            if i not in matched and not ignored / len(p) > 0.5:
                sums[label][2] += 1
        for label, t, crowd in truth:
            ious = [
                len(p & t) / len((p | t) - (p & void)) for other, p in predicted if other == label
            ]
            sums[label][3] += not crowd and not any(iou > 0.5 for iou in ious)
    return {
        label: (
            iou / (tp + fp / 2 + fn / 2),
            iou / tp if tp else 0,
            tp / (tp + fp / 2 + fn / 2),
        )
        for label, (iou, tp, fp, fn) in sums.items()
        if tp + fp + fn
    }


def scenes(seed, crowds=True):
    """A target and a prediction that resembles it: other ids, borders, classes; void."""
    draw = random.Random(seed)
    height, width = draw.randint(4, 12), draw.randint(4, 12)
    number = draw.randint(1, 6)
    cells = torch.randint(0, number + 1, (3, 3), generator=torch.Generator().manual_seed(seed))
    target = cells.repeat_interleave(4, 0).repeat_interleave(4, 1)[:height, :width].int()
    found = target.roll((draw.randint(0, 1), draw.randint(-1, 1)), (0, 1)).clone()
    if draw.random() < 0.5:
        found[: height // 2, : draw.randint(1, width)] = draw.choice([0, 1, number + 1])
    labels = {id: draw.choice((0, 1, 2, 2, 3)) for id in range(1, number + 1)}
    of_found = {
        id * 1000 + 17: labels.get(id, 3) if draw.random() < 0.8 else draw.randint(0, 3)
        for id in range(1, number + 2)
    }
    things = [id for id, label in labels.items() if label in THINGS]
    crowd = {id for id in things if crowds and draw.random() < 0.3}
    return (
        panoptic(torch.where(found > 0, found * 1000 + 17, 0), of_found),
        panoptic(target, labels, crowd),
    )


@pytest.mark.parametrize("seed", range(8))
def test_matches_the_definition(seed):
    pairs = [scenes(100 * seed + i) for i in range(12)]
    values, expected = measured(*pairs), by_definition(pairs)
    for i, name in enumerate(("PQ", "SQ", "RQ")):
        for label, of_class in expected.items():
            assert values[f"{name}_by_class"][CLASSES[label]] == pytest.approx(of_class[i])
        assert len(values[f"{name}_by_class"]) == len(expected)
        every = [x[i] for x in expected.values()]
        assert values[name] == pytest.approx(sum(every) / len(every))
        for group, chosen in (("things", True), ("stuff", False)):
            some = [x[i] for label, x in expected.items() if (label in THINGS) == chosen]
            assert values[f"{name}_{group}"] == pytest.approx(sum(some) / len(some))


def test_matches_torchmetrics():
    """Where it agrees: no void, no crowds, and a stuff is one segment."""
    peer = PanopticQuality(
        things=set(THINGS), stuffs={0, 1}, return_sq_and_rq=True, return_per_class=True
    )
    ours = PanopticMetrics(CLASSES, THINGS)
    for seed in range(60):
        pair = [without_void(x) for x in scenes(seed, crowds=False)]
        ours.add(*pair)
        preds, target = (torch.stack([x.semantic, x.segment_map.long()], -1)[None] for x in pair)
        peer.update(preds, target)
    values, expected = ours.compute(), peer.compute().tolist()
    for label, row in zip((*THINGS, 0, 1), expected, strict=True):
        for name, value in zip(("PQ", "SQ", "RQ"), row, strict=True):
            own = values[f"{name}_by_class"][CLASSES[label]]
            assert own == pytest.approx(value, abs=1e-6)  # it sums in float32


def without_void(x):
    """Sky in place of void, and each stuff as one segment."""
    grass, sky = 10**6, 10**6 + 1
    ids, labels = torch.where(x.void, sky, x.segment_map), {grass: 0, sky: 1}
    for segment in x.segments:
        if segment.is_thing:
            labels[segment.id] = segment.label
        else:
            ids[ids == segment.id] = grass + segment.label
    return panoptic(ids, labels)


def test_many_segments():
    ids = torch.arange(1, 70_001, dtype=torch.int32).view(250, 280)
    labels = {id: 2 for id in range(1, 70_001)}
    found, target = panoptic(ids, labels), panoptic(ids.flip(0), labels)  # ids do not matter
    assert measured((found, target))["PQ"] == 1


# A model on a data set.


class Model:
    classes = CLASSES

    def __init__(self, found):
        self.found = found

    def predict(self, images, **options):
        return [self.found[int(image[0, 0, 0])] for image in images]


@pytest.mark.parametrize("batch_size", [1, 2, 5])
def test_evaluate(batch_size):
    pairs = [scenes(seed) for seed in range(5)]
    data = [(torch.full((3, 4, 4), i), {"panoptic": pair[1]}) for i, pair in enumerate(pairs)]
    model = Model([found for found, _ in pairs])
    assert evaluate_panoptic(model, data, batch_size=batch_size) == measured(*pairs)
    with pytest.raises(ValueError, match="there are no segments to measure on"):
        evaluate_panoptic(model, [])
    model.found[0] = 7
    with pytest.raises(ValueError, match="model must be of panoptic segmentation: Model gives int"):
        evaluate_panoptic(model, data)
