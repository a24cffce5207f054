"""From logits to segments: ties, void, small stuff, NaN, other sizes."""

import torch

from fastcv.nn.panoptic.segments import segments_of


def segments(logits, labels=(), *, num_stuff=1, min_stuff_area=0, size=None):
    logits = torch.tensor(logits)
    return segments_of(
        logits,
        torch.tensor(labels, dtype=torch.int64),
        torch.linspace(0.9, 0.7, len(labels)),
        num_stuff=num_stuff,
        min_stuff_area=min_stuff_area,
        size=size or tuple(logits.shape[1:]),
    )


def test_ids_and_labels():
    ids, labels, scores = segments(
        [[[5.0, 0, 0, 0]], [[0.0, 5, 0, 0]], [[0.0, 0, 5, 0]], [[0.0, 0, 0, 5]]],
        [7, 3],
        num_stuff=2,
    )
    assert ids.dtype == torch.int32 and ids.tolist() == [[1, 2, 3, 4]]
    assert labels == {1: 0, 2: 1, 3: 7, 4: 3}
    assert list(scores) == [3, 4] and scores[3] > scores[4]


def test_the_unknown_class_is_void():
    ids, _, _ = segments([[[1.0, 0, 0]], [[0.0, 1, 0]], [[0.0, 0, 1]]], [4])
    assert ids.tolist() == [[1, 2, 0]]


def test_small_stuff_is_void_but_small_things_stay():
    logits = [[[1.0, 1, 0, 0, 0]], [[0.0, 0, 1, 1, 1]], [[2.0, 0, 0, 0, 0]]]
    assert segments(logits, [4], num_stuff=2, min_stuff_area=2)[0].tolist() == [[3, 0, 2, 2, 2]]
    assert segments(logits, [4], num_stuff=2, min_stuff_area=4)[0].tolist() == [[3, 0, 0, 0, 0]]


def test_areas_are_counted_in_the_picture():
    logits = [[[1.0, 0]], [[0.0, 1]]]
    ids, _, _ = segments(logits, num_stuff=2, min_stuff_area=4, size=(2, 4))
    assert ids.tolist() == [[1, 1, 2, 2]] * 2


def test_nan_is_void():
    ids, _, _ = segments([[[1.0, torch.nan, 0]], [[0.0, 0, torch.nan]]], [4])
    assert ids.tolist() == [[1, 0, 0]]


def test_no_instances():
    ids, labels, scores = segments([[[1.0, 0]], [[0.0, 1]]])
    assert ids.tolist() == [[1, 0]] and labels == {1: 0} and scores == {}
