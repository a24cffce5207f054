"""NME by hand, and what the boxes' metrics say of faces that are found, missed and doubled."""

import math

import pytest
import torch

from fastcv.metrics import evaluate_faces
from fastcv.models.landmarks._face_detector import FaceDetector, FoundFaces

POINTS = torch.tensor([[10.0, 10], [30, 10], [20, 20], [12, 30], [28, 30]])
BOX = [0.0, 0, 40, 40]


class Scenes(list):
    classes = ("background", "face")
    keypoint_names = tuple("abcde")


class Told(FaceDetector):
    """Finds what it is told, picture by picture."""

    def __init__(self, answers):
        super().__init__()
        self.answers = list(answers)

    def forward(self, images):
        return images

    def image_sizes(self, output):
        return [tuple(image.shape[1:]) for image in output]

    def detect(self, output):
        return [FoundFaces(*self.answers.pop(0)) for _ in output]


def face(shift=0.0, *, known=True, image_id=0):
    points = torch.cat([POINTS + shift, torch.full((5, 1), 2.0)], dim=1)[None]
    return torch.zeros(3, 100, 100), {
        "boxes": torch.tensor([BOX]) + shift,
        "labels": torch.tensor([1]),
        "keypoints": points if known else torch.zeros(1, 5, 3),
        "image_id": image_id,
    }


def found(*boxes_and_points, scores=None):
    boxes = torch.tensor([box for box, _ in boxes_and_points]).reshape(-1, 4)
    points = torch.stack([p for _, p in boxes_and_points]) if len(boxes) else torch.zeros(0, 5, 2)
    scores = torch.linspace(0.9, 0.5, len(boxes)) if scores is None else torch.tensor(scores)
    return boxes, scores, torch.ones(len(boxes), dtype=torch.int64), points


def test_nme_by_hand():
    off = POINTS.clone()
    off[0] += torch.tensor([3.0, 4])  # 5 pixels, of eyes 20 apart: a quarter; a fifth of the mean
    off[2] += torch.tensor([0.0, 10])  # a half
    metrics = evaluate_faces(Told([found((BOX, off))]), Scenes([face()]))
    assert metrics["NME"] == pytest.approx((0.25 + 0.5) / 5)
    assert metrics["AP"] == pytest.approx(1) and metrics["AP50"] == pytest.approx(1)


def test_the_surest_box_that_overlaps_enough_counts():
    wrong = POINTS + 20.0
    near, far = [2.0, 2, 42, 42], [30.0, 30, 70, 70]
    answer = found((far, wrong), (near, POINTS), (BOX, wrong))
    metrics = evaluate_faces(Told([answer]), Scenes([face()]))
    assert metrics["NME"] == pytest.approx(0, abs=1e-6)
    answer = found((BOX, wrong), (near, POINTS))
    metrics = evaluate_faces(Told([answer]), Scenes([face()]))
    assert metrics["NME"] == pytest.approx(math.hypot(20, 20) / 20)


def test_faces_that_do_not_count():
    scenes = Scenes([face(), face(known=False, image_id=1), face(50.0, image_id=2)])
    shifted = [(torch.tensor(BOX) + 50).tolist(), POINTS + 52]
    answers = [found(), found((BOX, POINTS + 9)), found(shifted)]
    metrics = evaluate_faces(Told(answers), scenes)
    assert metrics["NME"] == pytest.approx(math.hypot(2, 2) / 20)  # of the third alone
    assert metrics["AR1"] == pytest.approx(2 / 3)
    nothing = evaluate_faces(Told([found()] * 3), scenes)
    assert math.isnan(nothing["NME"]) and nothing["AP"] == 0


def test_one_box_is_not_two_faces():
    _, target = face()
    both = {
        "boxes": torch.tensor([BOX, [1.0, 1, 41, 41]]),
        "labels": torch.ones(2, dtype=torch.int64),
        "keypoints": target["keypoints"].expand(2, -1, -1),
        "image_id": 0,
    }
    scenes = Scenes([(torch.zeros(3, 100, 100), both)])
    metrics = evaluate_faces(Told([found((BOX, POINTS))]), scenes)
    assert metrics["NME"] == pytest.approx(0, abs=1e-6)
    metrics = evaluate_faces(Told([found((BOX, POINTS), ([1.0, 1, 41, 41], POINTS + 2))]), scenes)
    assert metrics["NME"] == pytest.approx(math.hypot(2, 2) / 20 / 2)


def test_other_keypoints():
    class Four(Scenes):
        keypoint_names = tuple("abcd")

    with pytest.raises(ValueError, match="must have the 5 keypoints of the model, they have 4"):
        evaluate_faces(Told([]), Four([face()]))
