"""Boxes with keypoints: what is picked, drawn and written."""

import json

import numpy as np
import pytest
import torch

from fastcv.classes import COCO_KEYPOINTS, DIGIT_KEYPOINTS, KeypointSchema, keypoint_schema
from fastcv.draw.canvas import color_of
from fastcv.results import Detections, Keypoints

STICK = KeypointSchema(("tip", "middle", "end"), edges=[("tip", "middle"), ("middle", "end")])


def make(**changes):
    points = torch.tensor(
        [
            [[110.0, 110, 1], [180, 150, 1], [290, 190, 1]],
            [[210.0, 160, 2], [300, 250, 0], [390, 340, 1]],
        ]
    )
    return Keypoints(
        torch.tensor([[100.0, 100, 300, 200], [200, 150, 400, 350]]),
        torch.tensor([0.9, 0.6]),
        torch.tensor([1, 2]),
        ("background", "cat", "dog"),
        (400, 500),
        **{
            "keypoints": points,
            "keypoint_scores": torch.tensor([[3.0, 2, 1], [4, 5, 6]]),
            "schema": STICK,
            **changes,
        },
    )


def test_what_is_picked():
    found = make()
    assert repr(found) == "Keypoints(2 boxes in 400x500: 1 cat 0.90, 1 dog 0.60)"
    for index in (1, [1], torch.tensor([False, True]), slice(1, None)):
        part = found[index]
        assert isinstance(part, Keypoints) and part.schema is STICK
        assert torch.equal(part.keypoints, found.keypoints[1:])
        assert torch.equal(part.keypoint_scores, found.keypoint_scores[1:])
    assert found[found.scores > 1].keypoints.shape == (0, 3, 3)
    assert found.point(1, "end") == (390.0, 340.0)
    with pytest.raises(ValueError, match="name must be one of tip, middle, end, got 'head'"):
        found.point(0, "head")


def test_drawing_shows_points_and_lines():
    grey = np.full((400, 500, 3), 128, np.uint8)
    pixels = np.asarray(make().draw(grey)).astype(int)
    for i, (x, y) in enumerate([(110, 110), (180, 150), (290, 190)]):
        assert tuple(pixels[y, x]) == color_of(i)
    assert tuple(pixels[130, 145]) == color_of(1)  # on the line from tip to middle
    assert (pixels[250, 300] == 128).all()  # its middle is not there, nor a line to it
    assert tuple(pixels[340, 390]) == color_of(2)
    assert (np.asarray(make()[:0].draw(grey)) == 128).all()


@pytest.mark.filterwarnings("ignore:.*NaN")
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1e30])
def test_points_that_have_no_place(value, tmp_path):
    found = make()
    found.keypoints[0, 1, 0] = value
    found.draw(np.zeros((400, 500, 3), np.uint8))
    found.save(tmp_path / "a.json")
    json.loads((tmp_path / "a.json").read_text())


def test_to_dict(tmp_path):
    make().save(tmp_path / "a.json")
    rows = json.loads((tmp_path / "a.json").read_text())["detections"]
    assert rows[0]["keypoints"]["middle"] == [180.0, 150.0, 1.0, 2.0]
    assert list(rows[1]["keypoints"]) == ["tip", "middle", "end"]


def test_to_coco():
    rows = make().to_coco(7)
    assert [row["image_id"] for row in rows] == [7, 7]
    assert rows[1]["keypoints"] == [210.0, 160.0, 2.0, 300.0, 250.0, 0.0, 390.0, 340.0, 1.0]


def test_wrong_shapes():
    good = make()
    for name, value, message in (
        ("keypoints", good.keypoints[:1], r"keypoints must be \[2, 3, 3\], 3 of each box"),
        ("keypoints", good.keypoints[:, :2], r"got \[2, 2, 3\]"),
        ("keypoint_scores", good.keypoint_scores[:, :1], r"keypoint_scores must be \[2, 3\]"),
    ):
        with pytest.raises(ValueError, match=message):
            make(**{name: value})


def test_fields_go_along():
    found = make(fields={"age": torch.tensor([3.0, 4.0])})
    assert found[[1]].fields["age"].tolist() == [4.0]
    assert found.to("cpu").fields["age"].tolist() == [3.0, 4.0]
    assert found.to_dict()["detections"][1]["age"] == 4.0
    with pytest.raises(ValueError, match="the field 'age' must have 2 rows, one for each box"):
        make(fields={"age": torch.tensor([3.0])})


# Schemas.


def test_cocos_schema():
    sigmas = COCO_KEYPOINTS.sigmas
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    np.testing.assert_allclose(sigmas, cocoeval.Params("keypoints").kpt_oks_sigmas)
    names = COCO_KEYPOINTS.names
    for name, other in zip(names, COCO_KEYPOINTS.flip_order, strict=True):
        swapped = name.replace("left", "?").replace("right", "left").replace("?", "right")
        assert names[other] == swapped


def test_schemas_in_all_forms():
    for schema in (COCO_KEYPOINTS, DIGIT_KEYPOINTS, STICK):
        assert keypoint_schema(json.loads(json.dumps(schema.to_dict()))) == schema
    assert keypoint_schema(["a", "b"]).names == ("a", "b")
    for wrong, message in (
        ({"names": ()}, "names must be given, each once"),
        ({"names": ("a", "a")}, "names must be given, each once"),
        ({"names": ("a", "b"), "flips": [("a", "c")]}, "flips must be pairs of names out of a, b"),
        ({"names": ("a", "b"), "edges": ["ab"]}, "edges must be pairs"),
        ({"names": ("a", "b"), "sigmas": [0.1]}, "sigmas must be 2 numbers above 0"),
        ({"names": ("a", "b"), "sigmas": -0.1}, "sigmas must be 2 numbers above 0"),
    ):
        with pytest.raises(ValueError, match=message):
            KeypointSchema(**wrong)


def test_a_plain_detection_has_no_fields():
    found = Detections(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0).long(), ("b", "c"), (3, 4))
    assert found.fields == {} and len(found[[]]) == 0
