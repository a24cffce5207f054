"""Ids that stay: scores by hand, who gets what, and objects that come and go."""

import math

import pytest
import torch

from fastcv.nn import FoundBoxes
from fastcv.nn.detection.tracks import Tracks, best_matches, follow, match_scores


def found(*boxes, labels=None, scores=None):
    n = len(boxes)
    return FoundBoxes(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.ones(n) if scores is None else torch.tensor(scores),
        torch.ones(n, dtype=torch.int64) if labels is None else torch.tensor(labels),
    )


def square(x, y, side=10):
    return [x, y, x + side, y + side]


def test_scores_by_hand():
    tracks = Tracks(
        torch.tensor([square(0, 0), square(5, 0)]).float(),
        torch.tensor([1, 2]),
        torch.tensor([7, 9]),
        torch.zeros(2, dtype=torch.int64),
        torch.zeros(2, 0),
        9,
    )
    logits = torch.tensor([[0.0, 2.0, -1.0]])
    ((new, first, second),) = match_scores(
        logits, found(square(0, 0), scores=[0.5]), tracks
    ).tolist()
    total = math.log(1 + math.exp(2) + math.exp(-1))
    score = math.log(0.5)
    assert new == pytest.approx(0 - total + score + 0 + 10, abs=1e-5)
    assert first == pytest.approx(2 - total + score + 2 * 1 + 10, abs=1e-5)
    # Boxes that share half of each overlap by a third; the label is another.
    assert second == pytest.approx(-1 - total + score + 2 / 3 + 0, abs=1e-5)


@pytest.mark.parametrize(
    "rows, expected",
    [
        ([[1, 0, 0]], [-1]),
        ([[0, 1, 2]], [1]),
        ([[0, 3, 1], [0, 2, 1]], [0, -1]),  # the worse fitting one is new, not the other object
        ([[0, 2, 1], [0, 2, 1]], [0, -1]),  # of equals the first
        ([[0, 2, 1], [0, 3, 1], [0, 1, 4]], [-1, 0, 1]),
        ([[0, math.nan, 1], [0, 1, 0]], [-1, 0]),
        ([[0.0], [1.0]], [-1, -1]),
    ],
)
def test_who_is_who(rows, expected):
    assert best_matches(torch.tensor(rows, dtype=torch.float32)) == expected


def test_nobody():
    assert best_matches(torch.zeros(0, 3)) == []
    ids, tracks = follow(None, found())
    assert ids.shape == (0,) and ids.dtype == torch.int64 and len(tracks.ids) == 0
    ids, tracks = follow(tracks, found(square(0, 0)))
    assert ids.tolist() == [1]


def test_objects_that_cross_keep_their_ids():
    """Two of one class pass each other, at distances that boxes can tell."""
    tracks = None
    for t in range(12):
        left, right = square(4 * t, 0), square(44 - 4 * t, 8)
        order = [left, right] if t % 2 else [right, left]
        ids, tracks = follow(tracks, found(*order))
        names = ("left", "right") if t % 2 else ("right", "left")
        assert dict(zip(names, ids.tolist(), strict=True)) == {"right": 1, "left": 2}


def test_another_class_is_another_object():
    _, tracks = follow(None, found(square(0, 0), labels=[1]))
    ids, _ = follow(tracks, found(square(0, 0), labels=[2]))
    assert ids.tolist() == [2]


def test_one_that_comes_back_has_its_id_and_one_that_was_gone_for_long_a_new_one():
    for gone, expected in ((3, 1), (4, 2)):
        _, tracks = follow(None, found(square(0, 0)), max_age=3)
        for _ in range(gone):
            ids, tracks = follow(tracks, found(), max_age=3)
        ids, tracks = follow(tracks, found(square(1, 0)), max_age=3)
        assert ids.tolist() == [expected]


def test_ids_are_given_once_and_the_forgotten_are_not_kept():
    tracks, seen = None, set()
    for t in range(200):
        ids, tracks = follow(tracks, found(square(1000 * t, 0)), max_age=5)
        assert not seen & set(ids.tolist())
        seen |= set(ids.tolist())
        assert len(tracks.ids) <= 6
    assert seen == set(range(1, 201))


def test_logits_and_features_tell_more_than_boxes():
    described = torch.eye(2)
    _, tracks = follow(None, found(square(0, 0), square(100, 0)), features=described)
    # They have changed places.
    swapped = described.flip(0)
    logits = torch.cat([torch.zeros(2, 1), 9 * swapped @ tracks.features.T], dim=1)
    ids, tracks = follow(
        tracks, found(square(0, 0), square(100, 0)), features=swapped, logits=logits
    )
    assert ids.tolist() == [2, 1]
    rows = dict(zip(tracks.ids.tolist(), tracks.features.tolist(), strict=True))
    assert rows == {1: [1, 0], 2: [0, 1]}


def test_without_the_head_what_does_not_overlap_is_new():
    _, tracks = follow(None, found(square(0, 0)))
    assert follow(tracks, found(square(5, 0)))[0].tolist() == [1]  # IoU 1/3
    assert follow(tracks, found(square(6, 0)))[0].tolist() == [2]  # IoU 1/4
