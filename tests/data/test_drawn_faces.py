"""Drawn faces: the same bits always, targets that fit the picture, splits that share nothing."""

import numpy as np
import pytest
import torch

from fastcv.data import DrawnFaces
from fastcv.data._drawn_face import Frame, real_faces
from fastcv.ops import box_iou

SPLITS = ("train", "val", "test")


@pytest.fixture(scope="module")
def some():
    """Items of every split."""
    return {split: [DrawnFaces(split)[i] for i in range(20)] for split in SPLITS}


def test_same_bits_in_another_order_and_length():
    forward = [DrawnFaces("train")[i] for i in range(3)]
    again = DrawnFaces("train", length=3)
    for i in (2, 0, 1):
        image, target = again[i]
        assert torch.equal(image, forward[i][0])
        for name, value in forward[i][1].items():
            assert torch.equal(torch.as_tensor(target[name]), torch.as_tensor(value)), name
    assert not torch.equal(DrawnFaces("train", seed=1)[0][0], forward[0][0])
    assert torch.equal(again[-1][0], forward[2][0])
    with pytest.raises(IndexError):
        again[3]


@pytest.mark.parametrize("split", SPLITS)
def test_items(some, split):
    kinds = set()
    for index, (image, target) in enumerate(some[split]):
        assert image.shape == (3, 128, 128) and image.dtype == torch.float32
        assert image.min() >= 0 and image.max() <= 1
        boxes, count = target["boxes"], len(target["boxes"])
        assert 1 <= count <= 4 and target["image_id"] == index
        assert target["labels"].tolist() == [1] * count and not target["iscrowd"].any()
        assert (boxes[:, :2] >= -1e-3).all() and (boxes[:, 2:] <= 128 + 1e-3).all()
        wide, high = (boxes[:, 2:] - boxes[:, :2]).T
        assert (high >= 17).all() and (high <= 57).all() and (wide < 1.05 * high).all()
        torch.testing.assert_close(target["area"], wide * high)
        overlap = box_iou(boxes, boxes) - torch.eye(count)
        assert overlap.max() <= 0.1 + 1e-4
        known = target["keypoints"][..., 2] > 0
        assert (known.all(dim=1) | ~known.any(dim=1)).all()  # all five, or none
        kinds |= set(known[:, 0].tolist())
        low, top = boxes[:, None, :2], boxes[:, None, 2:]
        inside = ((target["keypoints"][..., :2] > low) & (target["keypoints"][..., :2] < top)).all(
            2
        )
        assert inside[known].all()
        assert (target["keypoints"][~known] == 0).all()
    assert kinds == {True, False}


def test_landmarks_are_upright():
    for i in range(10):
        _, target = DrawnFaces("train", real=0, max_angle=0)[i]
        right_eye, left_eye, nose, right_mouth, left_mouth = target["keypoints"].unbind(1)
        assert (target["keypoints"][..., 2] == 2).all()
        assert (right_eye[:, 0] < left_eye[:, 0]).all()
        assert (right_mouth[:, 0] < left_mouth[:, 0]).all()
        assert (right_eye[:, 1] < nose[:, 1]).all() and (nose[:, 1] < left_mouth[:, 1]).all()


def test_eyes_are_where_they_are_said_to_be():
    """The pupils are the darkest of what is around them."""
    darker = []
    for i in range(20):
        faces = DrawnFaces("test", real=0, face_size=(50, 56), max_faces=1)
        image, target = faces[i]
        grey = image.mean(0)
        for x, y, _ in target["keypoints"][0, :2].tolist():
            eye = grey[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].mean()
            around = [grey[int(y), int(x + side * 3.5)] for side in (-1, 1)]  # the white
            darker.append(eye < min(around))
    assert np.mean(darker) > 0.9


@pytest.mark.parametrize(("real", "known"), [(0.0, True), (1.0, False)])
def test_kinds_of_faces(real, known):
    for i in range(5):
        _, target = DrawnFaces("val", real=real)[i]
        assert (target["keypoints"][:, 0, 2] > 0).tolist() == [known] * len(target["boxes"])


def test_splits_share_no_face():
    faces = [{face.tobytes() for face in real_faces(split)} for split in SPLITS]
    assert [len(f) for f in faces] == [70, 10, 20]
    assert not (faces[0] & faces[1] | faces[0] & faces[2] | faces[1] & faces[2])


def test_a_frame_turns_its_points_with_its_pixels():
    angle = 0.4
    frame = Frame(40.0, 0.8, angle, np.array([0.3, 0.6]))
    points = np.array([[0.0, 0], [0.5, -0.25], [-0.8, 0.9]], np.float32)
    for (u, v), (x, y) in zip(points, frame.to_pixels(points), strict=True):
        row, column = int(y), int(x)
        assert abs(frame.u[row, column] - u) < 1 / 20 and abs(frame.v[row, column] - v) < 1 / 20
    head = frame.ellipse(0, 0, 0.8, 1) > 0.5
    rows, columns = np.flatnonzero(head.any(1)), np.flatnonzero(head.any(0))
    extent = (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
    assert np.abs(np.array(extent) - np.array(frame.box())).max() < 1.1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"split": "all"}, "split must be one of train, val, test, got 'all'"),
        ({"size": 128}, "size must be"),
        ({"face_size": (4, 30)}, "face_size must be"),
        ({"face_size": (30, 20)}, "face_size must be"),
        ({"face_size": (30, 70)}, "face_size must be"),
        ({"length": -1}, "length must be 0 to"),
        ({"seed": -1}, "seed must be 0 to"),
        ({"max_faces": 0}, "max_faces must be 1 to 255, got 0"),
        ({"max_angle": 181}, "max_angle must be 0 to 180, got 181"),
        ({"real": 1.5}, "real must be 0 to 1, got 1.5"),
        ({"real": float("nan")}, "real must be 0 to 1"),
    ],
)
def test_arguments_that_cannot_be(arguments, words):
    with pytest.raises((TypeError, ValueError), match=words):
        DrawnFaces(**{"split": "train", **arguments})
