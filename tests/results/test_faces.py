"""Faces: how each is cut out upright, and what they are refused for."""

import json
import math

import pytest
import torch
from PIL import Image

from fastcv.classes import FACE_LANDMARKS
from fastcv.results import Faces
from fastcv.results.faces import ALIGNED

SIDE = 112


def faces(points, size=(200, 240), seen=1.0):
    points = torch.as_tensor(points, dtype=torch.float32).reshape(-1, 5, 2)
    count = len(points)
    keypoints = torch.cat([points, torch.full((count, 5, 1), seen)], dim=2)
    return Faces(
        torch.tensor([[10.0, 10, 90, 90]]).expand(count, -1),
        torch.ones(count),
        torch.ones(count, dtype=torch.int64),
        ("background", "face"),
        size,
        keypoints=keypoints,
        keypoint_scores=torch.ones(count, 5),
    )


def moved(scale, degrees, x, y):
    """The template's landmarks in a picture where the face lies so."""
    angle = math.radians(degrees)
    turn = torch.tensor(
        [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]],
    )
    return scale * torch.tensor(ALIGNED) * SIDE @ turn.T + torch.tensor([x, y])


@pytest.mark.parametrize(
    ("scale", "degrees", "x", "y"),
    [
        (1.0, 0, 20.0, 30.0),
        (0.5, 20, 60.0, 30.0),
        (1.2, -35, 10.0, 100.0),
        (0.7, 180, 150.0, 150.0),
    ],
)
def test_landmarks_come_to_lie_where_they_shall(scale, degrees, x, y):
    points = moved(scale, degrees, x, y)
    rows, columns = torch.meshgrid(torch.arange(200) + 0.5, torch.arange(240) + 0.5, indexing="ij")
    for place, there in zip(torch.tensor(ALIGNED) * SIDE, points, strict=True):
        # A soft dot on the landmark: its centre of mass in the cut is where it came to lie.
        dot = torch.exp(-((columns - there[0]) ** 2 + (rows - there[1]) ** 2) / 18)
        (cut,) = faces(points).aligned(dot.expand(3, -1, -1), SIDE)
        weight = cut[0] / cut[0].sum()
        axis = torch.arange(SIDE) + 0.5
        found = torch.stack([(weight.sum(0) * axis).sum(), (weight.sum(1) * axis).sum()])
        assert (found - place).abs().max() < 0.6


def test_a_large_face_is_a_mean_of_its_pixels():
    checks = (torch.arange(400)[:, None] + torch.arange(400)) % 2
    found = faces(moved(3.0, 0, 20, 20), size=(400, 400))
    (cut,) = found.aligned(checks.expand(3, -1, -1).float(), SIDE)
    assert cut[:, 5:-5, 5:-5].std() < 0.05
    assert cut[:, 5:-5, 5:-5].mean() == pytest.approx(0.5, abs=0.02)


def test_hidden_landmarks_do_not_turn_it():
    points = moved(1.0, 15, 40, 30)
    picture = torch.rand(3, 200, 240)
    whole = faces(points).aligned(picture)
    found = faces(points)
    found.keypoints[0, 2] = torch.tensor([500.0, -90, 0])
    found.keypoints[0, 3] = torch.tensor([math.nan, 0, 1])
    torch.testing.assert_close(found.aligned(picture), whole, rtol=0, atol=1e-3)


def test_outside_of_the_picture_is_black():
    (cut,) = faces(moved(1.0, 0, -60, 0)).aligned(torch.ones(3, 200, 240))
    assert cut[:, :, :50].max() == 0 and cut[:, 5:, 70:].min() == 1


def test_no_faces():
    assert faces(torch.zeros(0, 5, 2)).aligned(torch.rand(3, 200, 240), 64).shape == (0, 3, 64, 64)


def test_what_cannot_be_aligned(tmp_path):
    points = moved(1.0, 0, 20, 20)
    with pytest.raises(ValueError, match="image is needed: this result does not come from a file"):
        faces(points).aligned()
    with pytest.raises(ValueError, match="image must be 200x240, the size these faces belong to"):
        faces(points).aligned(torch.rand(3, 240, 200))
    found = faces(points)
    found.keypoints[0, 1:, 2] = 0
    with pytest.raises(ValueError, match="face 0 must have two landmarks or more"):
        found.aligned(torch.rand(3, 200, 240))
    with pytest.raises(ValueError, match=r"keypoints must be \[1, 5, 3\]"):
        Faces(
            found.boxes,
            found.scores,
            found.labels,
            found.classes,
            found.image_size,
            keypoints=found.keypoints[:, :4],
            keypoint_scores=found.keypoint_scores,
        )


def test_json_and_file(tmp_path):
    Image.new("RGB", (240, 200)).save(tmp_path / "a.png")
    found = faces(moved(1.0, 0, 20, 20))
    found.source = str(tmp_path / "a.png")
    assert found.aligned().shape == (1, 3, 112, 112) and found.schema == FACE_LANDMARKS
    found.save(tmp_path / "a.json")
    (row,) = json.loads((tmp_path / "a.json").read_text())["detections"]
    assert row["name"] == "face" and list(row["keypoints"]) == list(FACE_LANDMARKS.names)
    assert found.draw().width >= 240
    assert len(found[found.scores > 2]) == 0 and type(found[:0]) is Faces
