"""Video panoptic quality: by hand, and against its definition from tubes of pixels."""

import random

import pytest
import torch

from fastcv.metrics import PanopticMetrics, VideoPanopticMetrics
from fastcv.results import Panoptic

CLASSES, THINGS = ("grass", "sky", "cat", "dog"), (2, 3)


def frame(ids, labels, crowds=()):
    ids = torch.as_tensor(ids, dtype=torch.int32)
    return Panoptic.from_map(
        ids[None] if ids.ndim == 1 else ids, labels, CLASSES, THINGS, crowds=crowds
    )


def cats(*rows):
    """Frames of a row: grass 1, cats 2 and above, void 0."""
    return [frame(row, {id: 0 if id == 1 else 2 for id in row if id}) for row in rows]


def measured(*videos, **options):
    metrics = VideoPanopticMetrics(CLASSES, THINGS, **options)
    for found, targets in videos:
        metrics.add(found, targets)
    return metrics.compute()


# By hand.


def test_an_id_that_changes_is_missed_in_longer_windows():
    targets = cats(*[[1, 1, 2, 2]] * 4)
    found = cats([1, 1, 5, 5], [1, 1, 5, 5], [1, 1, 6, 6], [1, 1, 6, 6])
    values = measured((found, targets))
    assert values["VPQ1"] == 1
    # Of three windows of two frames, two are right; in the one between no tube has more than half:
    # 2 TP, 2 FP, 1 FN.
    cat = 2 / (2 + 2 / 2 + 1 / 2)
    assert values["VPQ2"] == pytest.approx((1 + cat) / 2)
    # In two windows of three frames, one tube has 2 of 3 frames: 2 TP of IoU 2/3, 2 FP.
    assert values["VPQ3"] == pytest.approx((1 + 2 * (2 / 3) / (2 + 2 / 2)) / 2)
    # In the window of four frames both have half, which is not above it.
    assert values["VPQ4"] == pytest.approx(1 / 2)
    assert values["VPQ"] == pytest.approx(sum(values[f"VPQ{k}"] for k in (1, 2, 3, 4)) / 4)
    assert values["VPQ_stuff"] == 1 and values["VPQ_by_class"]["grass"] == 1
    assert values["id_switches"] == 1


def test_ids_may_be_others_than_the_targets():
    targets = cats([1, 2, 2, 3], [1, 1, 2, 3], [1, 1, 1, 3])
    found = cats([1, 9, 9, 8], [1, 1, 9, 8], [1, 1, 1, 8])
    values = measured((found, targets))
    assert values["VPQ"] == 1 and values["id_switches"] == 0
    assert "VPQ4" not in values  # no window is so long


def test_stuff_is_one_tube_whatever_its_ids():
    targets = [frame([1, 1, 5], {1: 0, 5: 2}), frame([4, 4, 5], {4: 0, 5: 2})]
    found = [frame([7, 8, 5], {7: 0, 8: 0, 5: 2}), frame([9, 9, 5], {9: 0, 5: 2})]
    values = measured((found, targets), windows=(2,))
    assert values["VPQ"] == 1


def test_switches_are_counted_over_gaps():
    """A cat that is not found in a frame and then by another id has switched once."""
    targets = cats(*[[1, 2, 2, 2]] * 5)
    found = cats([1, 5, 5, 5], [1, 1, 1, 1], [1, 6, 6, 6], [1, 6, 6, 6], [1, 5, 5, 5])
    assert measured((found, targets))["id_switches"] == 2
    # And in another video ids have nothing to do with these.
    assert measured((found, targets), (cats([1, 7, 7, 7]), cats([1, 2, 2, 2])))["id_switches"] == 2


def test_two_that_change_places():
    targets = cats([2, 2, 3, 3], [2, 2, 3, 3])
    found = cats([5, 5, 6, 6], [6, 6, 5, 5])
    values = measured((found, targets))
    assert values["id_switches"] == 2 and values["VPQ1"] == 1 and values["VPQ2"] == 0


def test_windows_of_one_frame_are_images():
    videos = [moving(seed) for seed in range(6)]
    images = PanopticMetrics(CLASSES, THINGS)
    for found, targets in videos:
        for pair in zip(found, targets, strict=True):
            images.add(*pair)
    values, expected = measured(*videos, windows=(1,)), images.compute()
    assert values["VPQ"] == pytest.approx(expected["PQ"])
    assert values["VPQ_things"] == pytest.approx(expected["PQ_things"])
    assert values["VPQ_by_class"] == pytest.approx(expected["PQ_by_class"])


def test_bad_input():
    with pytest.raises(ValueError, match="there are no segments to measure on"):
        measured()
    with pytest.raises(ValueError, match="there are no segments to measure on"):
        measured((cats([0, 0]), cats([0, 0])))
    with pytest.raises(ValueError, match="zip"):
        measured((cats([1, 2]), cats([1, 2], [1, 2])))
    with pytest.raises(ValueError, match="found and target must be of one size, got 1x2 and 1x3"):
        measured((cats([1, 2], [1, 2]), cats([1, 2], [1, 2, 2])))
    for windows in ((), (0, 1)):
        with pytest.raises(ValueError, match="windows must be lengths of at least 1 frame, got"):
            VideoPanopticMetrics(CLASSES, THINGS, windows)


def test_frames_are_not_kept():
    """Only those of the longest window are alive."""
    import weakref

    alive, most = [], 0

    def frames():
        nonlocal most
        for _ in range(20):
            (made,) = cats([1, 1, 2, 2])
            alive.append(weakref.ref(made))
            yield made
            del made
            most = max(most, sum(ref() is not None for ref in alive))

    metrics = VideoPanopticMetrics(CLASSES, THINGS)
    metrics.add(frames(), cats(*[[1, 1, 2, 2]] * 20))
    assert most <= 4 and metrics.compute()["VPQ"] == 1


# Against the definition.


def moving(seed):
    """A video of a few frames: things that move, ids that now and then change, void, crowds."""
    draw = random.Random(seed)
    length = draw.randint(1, 6)
    labels = {1: 0, 2: 1, 3: 2, 4: 2, 5: 3}
    crowds = {4} if draw.random() < 0.3 else set()
    other = {3: 30, 4: 40, 5: 50}
    found, targets = [], []
    for t in range(length):
        target = torch.zeros(6, 10, dtype=torch.int32)
        target[:2], target[2:5] = 1, 2
        target[1:4, t : t + 3] = 3
        target[3:6, 6 - t // 2 : 9] = 4
        target[0:2, 7:10] = 5
        seen = target.roll(draw.randint(0, 1), 1).clone()
        if draw.random() < 0.3:
            seen[:, : draw.randint(1, 6)] = draw.choice([0, 1, 3])
        if draw.random() < 0.3:
            other[draw.choice((3, 4, 5))] += 1
        ids = {1: 1, 2: 2, **other}
        mapped = torch.zeros_like(seen)
        for id, new in ids.items():
            mapped[seen == id] = new
        of_found = {new: labels[id] for id, new in ids.items()}
        found.append(frame(mapped, of_found))
        targets.append(frame(target, labels, crowds))
    return found, targets


def tubes(frames):
    """Sets of (frame, pixel) by what makes a tube: class, and of things the id."""
    made, crowds = {}, set()
    for t, x in enumerate(frames):
        flat = x.segment_map.flatten().tolist()
        for segment in x.segments:
            key = (segment.label, segment.id if segment.is_thing else None)
            made.setdefault(key, set()).update(
                (t, i) for i, v in enumerate(flat) if v == segment.id
            )
            if segment.is_crowd:
                crowds.add(key)
    void = {
        (t, i)
        for t, x in enumerate(frames)
        for i, value in enumerate(x.segment_map.flatten().tolist())
        if value == 0
    }
    return made, crowds, void


def by_definition(videos, length):
    sums = {label: [0.0, 0, 0, 0] for label in range(len(CLASSES))}
    for found, targets in videos:
        for start in range(len(found) - length + 1):
            predicted, _, _ = tubes(found[start : start + length])
            truth, crowds, void = tubes(targets[start : start + length])
            hit = set()
            for key, p in predicted.items():
                label, matched, ignored = key[0], False, len(p & void)
                for other, t in truth.items():
                    if other[0] != label:
                        continue
                    if other in crowds:
                        ignored += len(p & t)
                        continue
                    iou = len(p & t) / len((p | t) - (p & void))
                    if iou > 0.5:
                        sums[label][0] += iou
                        sums[label][1] += 1
                        matched = True
                        hit.add(other)
                sums[label][2] += not matched and not ignored / len(p) > 0.5
            for key in set(truth) - hit - crowds:
                sums[key[0]][3] += 1
    return {
        label: iou / (tp + fp / 2 + fn / 2)
        for label, (iou, tp, fp, fn) in sums.items()
        if tp + fp + fn
    }


@pytest.mark.parametrize("seed", range(5))
def test_matches_the_definition(seed):
    videos = [moving(50 * seed + i) for i in range(6)]
    values = measured(*videos)
    of_length = {length: by_definition(videos, length) for length in (1, 2, 3, 4)}
    of_length = {length: found for length, found in of_length.items() if found}
    means = []
    for length, expected in of_length.items():
        means.append(sum(expected.values()) / len(expected))
        assert values[f"VPQ{length}"] == pytest.approx(means[-1])
    assert values["VPQ"] == pytest.approx(sum(means) / len(means))
    for label in range(len(CLASSES)):
        own = [found[label] for found in of_length.values() if label in found]
        assert values["VPQ_by_class"][CLASSES[label]] == pytest.approx(sum(own) / len(own))
