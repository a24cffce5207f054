"""Every wrong target gets a sentence that says where."""

import numpy as np
import pytest
import torch

from fastcv.nn.detection.targets import check_targets, without_crowds

GOOD = {"boxes": torch.tensor([[1.0, 1.0, 5.0, 5.0]]), "labels": torch.tensor([2])}
EMPTY = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}


def test_good_ones_pass():
    check_targets([GOOD, EMPTY], 2, 3)


def box(*corners):
    return {"boxes": torch.tensor([[1.0, 1.0, 5.0, 5.0], corners]), "labels": torch.tensor([1, 2])}


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            box(4.0, 2.0, 4.0, 8.0),
            r"targets\[1\]: box 1 must have x1 < x2 and y1 < y2, got \[4.0, 2",
        ),
        (box(4.0, 9.0, 6.0, 8.0), r"targets\[1\]: box 1 must have"),
        (box(4.0, float("nan"), 6.0, 8.0), r"targets\[1\]: box 1 must have"),
        (box(4.0, 1.0, float("inf"), 8.0), r"targets\[1\]: box 1 must have"),
        (
            {**GOOD, "labels": torch.tensor([0])},
            r"label of box 0 must be 1 to 2 \(0 is the backg.*got 0",
        ),
        ({**GOOD, "labels": torch.tensor([3])}, r"label of box 0 must be 1 to 2 .*got 3"),
        (
            {**GOOD, "labels": torch.tensor([2.0])},
            r"labels must be int64 \[1\], .*got torch.float32",
        ),
        ({**GOOD, "labels": torch.tensor([2, 2])}, r"one for each box, got torch.int64 \[2\]"),
        (
            {**GOOD, "boxes": torch.tensor([1.0, 1, 5, 5])},
            r"floating \[N, 4\], got torch.float32 \[4\]",
        ),
        ({**GOOD, "boxes": torch.tensor([[1, 1, 5, 5]])}, r"got torch.int64 \[1, 4\]"),
        ({"boxes": GOOD["boxes"]}, r"targets\[1\] must have a tensor 'labels', has \['boxes'\]"),
        ({**GOOD, "boxes": [[1, 1, 5, 5]]}, r"must have a tensor 'boxes'"),
    ],
)
def test_errors(wrong, message):
    with pytest.raises(ValueError, match=message):
        check_targets([GOOD, wrong], 2, 3)


def test_one_for_each_image():
    with pytest.raises(ValueError, match="one entry for each image, got 1 for 2 images"):
        check_targets([GOOD], 2, 3)


def test_crowds_are_left_out():
    target = {**box(6.0, 6.0, 8.0, 8.0), "iscrowd": torch.tensor([True, False])}
    boxes, labels = without_crowds(target)
    assert boxes.tolist() == [[6.0, 6.0, 8.0, 8.0]] and labels.tolist() == [2]
    assert without_crowds(GOOD)[0] is GOOD["boxes"]


@pytest.mark.parametrize(
    ("targets", "got"),
    [
        (None, "NoneType"),
        (torch.zeros(1, 4), "Tensor"),
        ({"boxes": torch.zeros(0, 4)}, "dict"),
        ([torch.zeros(1, 4)], "list of Tensor"),
        ([{}, None], "list of NoneType"),
        (({}, "cat"), "tuple of str"),
    ],
)
def test_what_is_no_list_of_dicts(targets, got):
    sentence = f"^targets must be a list of a dict for each image, got {got}$"
    with pytest.raises(TypeError, match=sentence):
        check_targets(targets, images=1, num_classes=3)


@pytest.mark.parametrize(
    "flags", [None, "yes", 1, [0], [[0, 1]], [0, 1, 0], torch.zeros(2, 1), [None, 0], {"a": 1}]
)
def test_iscrowd_is_a_flag_for_each_box(flags):
    boxes = torch.tensor([[0.0, 0, 2, 2], [1, 1, 3, 3]])
    target = {"boxes": boxes, "labels": torch.tensor([1, 2]), "iscrowd": flags}
    sentence = r"targets\[0\]: iscrowd must be \[2\], a flag for each box, got [\w\[\], ]+$"
    with pytest.raises(ValueError, match=sentence):
        check_targets([target], images=1, num_classes=3)
    for good in ([0, 1], torch.tensor([False, True]), np.array([0, 1])):
        check_targets([{**target, "iscrowd": good}], images=1, num_classes=3)
