"""Which instances stay, by hand."""

import pytest
import torch

from fastcv.nn import BoxCoder, FoundBoxes
from fastcv.nn.panoptic.instance_selection import select_boxes, without_covered

SIZE = (20, 30)
RULES = {"score_threshold": 0.6, "iou_threshold": 0.5, "max_detections": 100}


def logits_of(*rows):
    return torch.tensor(rows).log()


def selected(logits, boxes, **rules):
    boxes = torch.tensor(boxes)
    deltas = torch.zeros(len(boxes), logits.shape[1], 4)
    return select_boxes(logits, deltas, boxes, SIZE, BoxCoder(), **{**RULES, **rules})


def test_sure_boxes_alone():
    logits = logits_of([0.3, 0.61, 0.09], [0.3, 0.59, 0.11], [0.1, 0.2, 0.7])
    found = selected(logits, [[0.0, 0, 5, 5], [10.0, 0, 15, 5], [20.0, 0, 25, 5]])
    assert found.labels.tolist() == [2, 1]
    torch.testing.assert_close(found.scores, torch.tensor([0.7, 0.61]))
    assert found.boxes.tolist() == [[20.0, 0, 25, 5], [0.0, 0, 5, 5]]


def test_classes_suppress_each_other():
    # IoU of the two is 0.8.
    logits = logits_of([0.1, 0.9, 0.001], [0.2, 0.001, 0.8])
    boxes = [[0.0, 0, 10, 10], [0.0, 0, 10, 8]]
    assert selected(logits, boxes).labels.tolist() == [1]
    assert selected(logits, boxes, iou_threshold=0.85).labels.tolist() == [1, 2]


def test_what_was_dropped_drops_nothing():
    """The second goes for the first, of another class; the third, of its own, then stays."""
    logits = logits_of([0.05, 0.95, 1e-6], [0.1, 1e-6, 0.9], [0.2, 1e-6, 0.8])
    boxes = [[0.0, 0, 10, 10], [3.0, 0, 13, 10], [6.0, 0, 16, 10]]
    # IoU of neighbours is 7 / 13, of the first and the third 4 / 16.
    found = selected(logits, boxes)
    assert found.boxes[:, 0].tolist() == [0.0, 6.0] and found.labels.tolist() == [1, 2]


def test_boxes_are_cut_and_counted():
    logits = logits_of([0.1, 0.9], [0.2, 0.8], [0.3, 0.7])
    boxes = [[40.0, 0, 50, 10], [-5.0, 0, 5, 10], [10.0, 0, 20, 10]]
    assert selected(logits, boxes).boxes.tolist() == [[0.0, 0, 5, 10], [10.0, 0, 20, 10]]
    assert len(selected(logits, boxes, max_detections=1).boxes) == 1


@pytest.mark.parametrize("logits", [torch.zeros(0, 3), torch.full((4, 3), torch.nan)])
def test_nothing_is_found(logits):
    boxes = torch.ones(len(logits), 4).cumsum(1).tolist() or torch.zeros(0, 4).tolist()
    found = select_boxes(
        logits,
        torch.zeros(len(logits), 3, 4),
        torch.tensor(boxes).reshape(-1, 4),
        SIZE,
        BoxCoder(),
        **RULES,
    )
    assert [len(x) for x in found] == [0, 0, 0]


def found_boxes(boxes, labels):
    scores = torch.linspace(0.9, 0.7, len(boxes))
    return FoundBoxes(torch.tensor(boxes), scores, torch.tensor(labels))


FULL = torch.ones(3, 4, 4)


@pytest.mark.parametrize(
    ("shift", "kept"),
    [(6.0, [0]), (7.0, [0, 1]), (8.0, [0, 1])],  # 40 %, 30 % and 20 % of the second are covered
)
def test_what_lies_on_a_surer_one_of_its_class_goes(shift, kept):
    found = found_boxes([[0.0, 0, 10, 10], [shift, 0, shift + 10, 10]], [1, 1])
    assert without_covered(found, FULL[:2], SIZE, max_overlap=0.3).tolist() == kept
    other = FoundBoxes(found.boxes, found.scores, torch.tensor([1, 2]))
    assert without_covered(other, FULL[:2], SIZE, max_overlap=0.3).tolist() == [0, 1]


def test_masks_count_not_boxes():
    """The two have one box, and a half of it each."""
    left, right = torch.full((2, 2), -1.0), torch.full((2, 2), -1.0)
    left[:, 0], right[:, 1] = 1.0, 1.0
    found = found_boxes([[0.0, 0, 10, 10]] * 2, [1, 1])
    masks = torch.stack([left, right])
    assert without_covered(found, masks, SIZE, max_overlap=0.3).tolist() == [0, 1]
    assert without_covered(found, masks[[0, 0]], SIZE, max_overlap=0.3).tolist() == [0]


def test_what_went_covers_nothing():
    """The second goes for the first; of the third it covers half, the first nothing."""
    boxes = [[0.0, 0, 10, 10], [5.0, 0, 15, 10], [10.0, 0, 20, 10]]
    found = found_boxes(boxes, [1, 1, 1])
    assert without_covered(found, FULL, SIZE, max_overlap=0.3).tolist() == [0, 2]


def test_an_instance_without_pixels_goes():
    found = found_boxes([[0.0, 0, 10, 10], [50.0, 0, 60, 10], [0.0, 10, 10, 20]], [1, 1, 1])
    masks = torch.stack([FULL[0], FULL[0], -FULL[0]])
    assert without_covered(found, masks, SIZE, max_overlap=0.3).tolist() == [0]


def test_no_instances():
    found = FoundBoxes(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    kept = without_covered(found, torch.zeros(0, 4, 4), SIZE, max_overlap=0.3)
    assert kept.dtype == torch.int64 and kept.tolist() == []
