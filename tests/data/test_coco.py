"""COCO's JSON, written as published, read back; what is wrong with a file is said."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from fastcv.data import CocoDetection

SQUARE = [[2, 1, 6, 1, 6, 4, 2, 4]]  # x 2..6, y 1..4


def annotation(**changes):
    return {
        "id": 11,
        "image_id": 5,
        "category_id": 3,
        "bbox": [2, 1, 4, 3],
        "area": 11.5,
        "iscrowd": 0,
        "segmentation": SQUARE,
    } | changes


@pytest.fixture
def coco(tmp_path):
    """Writes a data set of two images 8 wide, 6 high, and reads it."""

    def make(annotations=(), *, categories=None, masks=False, **changes):
        for name, value in (("a.png", 51), ("b.png", 255)):
            Image.fromarray(np.full((6, 8, 3), value, np.uint8)).save(tmp_path / name)
        content = {
            "info": {"year": 2017},
            "images": [
                {"id": 9, "file_name": "b.png", "width": 8, "height": 6},
                {"id": 5, "file_name": "a.png", "width": 8, "height": 6},
            ],
            "annotations": list(annotations),
            "categories": categories or [{"id": 3, "name": "cat"}, {"id": 1, "name": "dog"}],
        } | changes
        (tmp_path / "x.json").write_text(json.dumps(content))
        return CocoDetection(tmp_path, tmp_path / "x.json", masks=masks)

    return make


def test_instances(coco):
    dataset = coco([annotation(), annotation(category_id=1, bbox=[0.5, 0, 1, 1.5], iscrowd=1)])
    assert dataset.classes == ("background", "dog", "(unused)", "cat")
    assert len(dataset) == 2
    image, target = dataset[0]
    assert image.dtype == torch.float32 and torch.equal(image, torch.full((3, 6, 8), 0.2))
    assert target["image_id"] == 5
    assert target["boxes"].tolist() == [[2, 1, 6, 4], [0.5, 0, 1.5, 1.5]]
    assert target["labels"].tolist() == [3, 1]
    assert target["iscrowd"].tolist() == [False, True]
    assert target["area"].tolist() == [11.5, 11.5]
    assert "masks" not in target and "keypoints" not in target


def test_an_image_without_instances(coco):
    _, target = coco([annotation()], masks=True)[1]
    assert target["image_id"] == 9
    assert target["boxes"].shape == (0, 4) and target["labels"].dtype == torch.int64
    assert target["masks"].shape == (0, 6, 8)


def test_masks_of_every_form(coco):
    want = torch.zeros(6, 8, dtype=torch.bool)
    want[1:4, 2:6] = True
    # Runs of 0 and 1 in turn, down the columns: 13 pixels before the first one.
    counts = [13, 3, 3, 3, 3, 3, 3, 3, 14]
    from pycocotools import mask as rle

    packed = rle.encode(np.asfortranarray(want.numpy().astype(np.uint8)))
    forms = [
        SQUARE,
        [[2, 1, 4, 1, 4, 4, 2, 4], [4, 1, 6, 1, 6, 4, 4, 4]],  # in two pieces
        {"size": [6, 8], "counts": counts},
        {"size": [6, 8], "counts": packed["counts"].decode()},
    ]
    _, target = coco([annotation(segmentation=form) for form in forms], masks=True)[0]
    assert target["masks"].dtype == torch.bool and len(target["masks"]) == 4
    for mask in target["masks"]:
        assert torch.equal(mask, want)


def test_keypoints(coco):
    person = {"id": 1, "name": "person", "keypoints": ["nose", "chin"], "skeleton": [[1, 2]]}
    dataset = coco(
        [
            annotation(category_id=1, keypoints=[3, 2, 2, 0, 0, 0], num_keypoints=1),
            annotation(category_id=1),
        ],
        categories=[person],
    )
    assert dataset.keypoint_names == ("nose", "chin")
    _, target = dataset[0]
    assert target["keypoints"].tolist() == [[[3, 2, 2], [0, 0, 0]], [[0, 0, 0], [0, 0, 0]]]
    assert dataset[1][1]["keypoints"].shape == (0, 2, 3)
    with pytest.raises(ValueError, match=r"annotation 0 has 3 numbers as keypoints, .* 2 of"):
        coco([annotation(category_id=1, keypoints=[1, 2, 2])], categories=[person])


def test_boxes_without_area_are_left_out(coco):
    flat = [annotation(bbox=[1, 1, 0, 3]), annotation(), annotation(bbox=[1, 1, 3, -1])]
    with pytest.warns(UserWarning, match=r"x\.json: 2 of 3 boxes have no area and are left out"):
        dataset = coco(flat)
    assert dataset[0][1]["boxes"].tolist() == [[2, 1, 6, 4]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"categories": 3}, 'must have a list of objects "categories"'),
        ({"images": [{"file_name": "a.png"}]}, 'image 0 lacks "id"'),
        ({"images": [{"id": "5", "file_name": "a"}]}, "\"id\" of image 0 must be int, got '5'"),
        ({"images": [{"id": 5, "file_name": "a.png"}] * 2}, "several images with the same id"),
        ({"annotations": [annotation(bbox=None)]}, 'annotation 0 lacks "bbox"'),
        ({"annotations": [annotation(bbox=[1, 2, 3])]}, r"must be four numbers, got \[1, 2, 3\]"),
        ({"annotations": [annotation(image_id=6)]}, "annotation 0 is of image 6, which is not in"),
        ({"annotations": [annotation(category_id=2)]}, "annotation 0 has category_id 2, which"),
        ({"annotations": [annotation(category_id=0)]}, "above 0"),
    ],
)
def test_malformed(coco, changes, message):
    with pytest.raises(ValueError, match=r"x\.json.*" + message):
        coco(**changes)


def test_a_mask_that_cannot_be(coco):
    for wrong in ([], {"size": [2, 2], "counts": [4]}, "text"):
        with pytest.raises(ValueError, match=r"a segmentation of image 5 \(6 x 8\) is neither"):
            coco([annotation(segmentation=wrong)], masks=True)[0]


def test_missing_files(coco, tmp_path):
    dataset = coco([annotation()])
    (tmp_path / "a.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no image .*a\.png"):
        dataset[0]
    (tmp_path / "b.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"b\.png is not an image"):
        dataset[1]
    with pytest.raises(FileNotFoundError, match=r"there is no annotation file .*y\.json"):
        CocoDetection(tmp_path, tmp_path / "y.json")
    with pytest.raises(FileNotFoundError, match="there is no folder of images"):
        CocoDetection(tmp_path / "none", tmp_path / "x.json")
    (tmp_path / "x.json").write_text('{"images": [')
    with pytest.raises(ValueError, match=r"x\.json is not JSON: Expecting value"):
        CocoDetection(tmp_path, tmp_path / "x.json")
