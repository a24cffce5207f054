"""Faults of one annotation: named when the file is read, and only where they matter."""

import json

import pytest
import torch
from PIL import Image

from fastcv.data import CocoDetection

SQUARE = [10, 10, 30, 10, 30, 30, 10, 30]
SLIP = [40, 5, 50, 30]


@pytest.fixture
def coco(tmp_path):
    def make(*changes, categories=None, images=None, **options):
        images = images or [{"id": 1, "file_name": "a.png", "width": 60, "height": 40}]
        (tmp_path / "images").mkdir(exist_ok=True)
        for name in ("a.png", "images/a.png"):
            Image.new("RGB", (60, 40)).save(tmp_path / name)
        plain = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20]}
        content = {
            "images": images,
            "annotations": [plain | change for change in changes],
            "categories": categories or [{"id": 1, "name": "thing"}],
        }
        (tmp_path / "a.json").write_text(json.dumps(content))
        return CocoDetection(tmp_path, tmp_path / "a.json", **options)

    return make


@pytest.mark.parametrize(
    "polygons",
    [
        [SQUARE, SLIP],
        [SLIP, SQUARE],
        [[], SQUARE],
        [[5, 5], SQUARE, SLIP, SLIP],
        SQUARE,  # a single one without its list
        [SQUARE, [40.0, 5.0, 50.0, 30.0]],
    ],
)
def test_polygons_of_two_points_have_no_area(coco, polygons):
    want = torch.zeros(40, 60, dtype=torch.bool)
    want[10:30, 10:30] = True
    _, target = coco({"segmentation": polygons}, masks=True)[0]
    assert torch.equal(target["masks"][0], want)


@pytest.mark.parametrize("polygons", [[SLIP], [[]], [[1, 2], SLIP]])
def test_objects_of_such_polygons_alone_are_left_out(coco, polygons):
    with pytest.warns(UserWarning, match="1 of 2 segmentations have no area and are left out"):
        data = coco({"segmentation": polygons}, {"segmentation": [SQUARE]}, masks=True)
    assert len(data[0][1]["boxes"]) == len(data[0][1]["masks"]) == 1


@pytest.mark.parametrize(
    "segmentation",
    [
        [],
        None,
        {},
        "text",
        7,
        [SQUARE, None],
        [SQUARE, ["a"] * 6],
        [[1, 2, 3, 4, 5, 6, 7]],
        [[1, 2, 3, float("nan"), 5, 6]],
        [[0, 0, 1e8, 0, 1e8, 1e8]],  # pycocotools would crash
        [SQUARE, [0, 0, -1e7, 0, 30, 30]],
        [[10**400] * 6],
        [[[1, 2], [3, 4], [5, 6]]],
        {"size": [40, 60], "counts": [2399]},
        {"size": [40, 60], "counts": [-1, 2401]},
        {"size": [60, 40], "counts": [2400]},
        {"size": [40, 60], "counts": None},
        {"size": None, "counts": [2400]},
        {"counts": [2400]},
        {"size": [40, 60]},
    ],
)
def test_a_segmentation_that_is_none_is_named_when_the_file_is_read(coco, segmentation):
    with pytest.raises(ValueError, match=r"a\.json: annotation 1"):
        coco({"segmentation": [SQUARE]}, {"segmentation": segmentation}, masks=True)
    # Where only boxes are wanted it does not matter.
    assert len(coco({"segmentation": segmentation}, {})[0][1]["boxes"]) == 2


@pytest.mark.parametrize("side", [10**400, float("nan"), "8", None])
def test_sizes_that_are_none_are_not_used(coco, side):
    images = [{"id": 1, "file_name": "a.png", "width": side, "height": 40}]
    assert coco({}, images=images).images[0]["size"] is None


@pytest.mark.parametrize("box", [[1, 2, 3, 10**400], [-(10**400), 1, 2, 3], [1, 2, 3], "1234"])
def test_a_box_of_no_four_numbers(coco, box):
    with pytest.raises(ValueError, match=r"bbox.* of annotation 1 must be"):
        coco({}, {"bbox": box})


def test_two_categories_of_one_id(coco):
    cup, pen = {"id": 1, "name": "cup"}, {"id": 1, "name": "pen"}
    assert coco({}, categories=[cup, cup]).classes == ("background", "cup")
    with pytest.raises(ValueError, match="categories 'cup' and 'pen' have the same id 1"):
        coco({}, categories=[cup, pen])


@pytest.mark.parametrize(
    "content", ["[" * 10**5, '{"a":' * 10**5, "", "nul", "\ufeff{", "1" * 5000]
)
def test_what_is_no_json(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=r"a\.json (is not JSON: |must have a list of objects)"):
        CocoDetection(tmp_path, tmp_path / "a.json")


TWO = [
    {"id": 1, "name": "cup", "keypoints": ["rim"]},
    {"id": 2, "name": "pen", "keypoints": ["tip", "end"]},
]
ONE = [{"id": 1, "name": "cup", "keypoints": ["rim"]}, {"id": 2, "name": "lid", "keypoints": []}]


def test_keypoints_that_differ_by_category(coco):
    points = [{"keypoints": [1, 2, 2]}, {"category_id": 2, "keypoints": [1, 2, 2, 3, 4, 2]}]
    with pytest.warns(UserWarning, match="categories with different keypoints: targets have none"):
        data = coco(*points, categories=TWO)
    assert data.keypoint_names == () and "keypoints" not in data[0][1]
    assert len(data[0][1]["boxes"]) == 2
    with pytest.raises(ValueError, match="categories with different keypoints"):
        coco(*points, categories=TWO, keypoints=True)
    assert len(coco(*points, categories=TWO, keypoints=False)[0][1]["boxes"]) == 2


@pytest.mark.parametrize("value", [None, [], [0, 0, 0]])
def test_keypoints_that_are_empty(coco, value):
    data = coco({"keypoints": value}, {"category_id": 2}, {"keypoints": [1, 2, 2]}, categories=ONE)
    assert data[0][1]["keypoints"].tolist() == [[[0, 0, 0]], [[0, 0, 0]], [[1, 2, 2]]]


@pytest.mark.parametrize("value", [[1, 2], [1, None, 2], ["1", "2", "3"], "1", {"x": 1}])
def test_keypoints_that_cannot_be(coco, value):
    with pytest.raises(ValueError, match=r"a\.json: .*annotation 1"):
        coco({}, {"keypoints": value}, categories=ONE)
    data = coco({}, {"keypoints": value}, categories=ONE, keypoints=False)
    assert len(data[0][1]["boxes"]) == 2 and "keypoints" not in data[0][1]


@pytest.mark.parametrize("keypoints", [None, [], "nose", {"a": 1}])
def test_categories_without_a_list_of_keypoints(coco, recwarn, keypoints):
    categories = [{"id": 1, "name": "thing", "keypoints": keypoints}]
    data = coco({}, categories=categories, keypoints=False)
    assert len(data[0][1]["boxes"]) == 1


@pytest.mark.parametrize("change", [{"id": 0}, {"id": None}, {"id": "a"}, {"id": 1}])
@pytest.mark.parametrize("crowd", [None, 0, 1, True])
@pytest.mark.parametrize("area", [None, 7])
def test_ids_areas_and_crowds(coco, change, crowd, area):
    _, target = coco({}, change | {"iscrowd": crowd, "area": area})[0]
    assert target["iscrowd"].tolist() == [False, bool(crowd)]
    assert target["area"].tolist() == [400, area or 400]


@pytest.mark.parametrize("area", ["7", [7], float("nan"), float("inf"), 10**400, -(10**400)])
def test_an_area_that_is_none(coco, area):
    with pytest.raises(ValueError, match="the area of annotation 1 must be a number"):
        coco({}, {"area": area})


@pytest.mark.parametrize("bbox", [[1, 2, float("inf"), 4], [float("nan")] * 4, ["1", 2, 3, 4]])
def test_a_box_that_is_none(coco, bbox):
    with pytest.raises(ValueError, match="the bbox of annotation 1 must be four numbers"):
        coco({}, {"bbox": bbox})


@pytest.mark.parametrize("label", [1_000_000, 1_000_000_007, 2**70])
def test_ids_of_categories_that_are_keys(coco, label):
    with pytest.raises(ValueError, match=rf"a.json: category 0 has the id {label}, .* at most"):
        coco({"category_id": label}, categories=[{"id": label, "name": "cat"}])
    data = coco({"category_id": 9999}, categories=[{"id": 9999, "name": "cat"}])
    assert len(data.classes) == 10_000 and data.classes[data[0][1]["labels"]] == "cat"


def test_ids_of_images_that_are_keys(coco):
    image = {"id": 10**18, "file_name": "a.png"}
    assert coco({"image_id": 10**18}, images=[image])[0][1]["image_id"] == 10**18


@pytest.mark.parametrize("name", ["images\\a.png", ".\\images\\a.png", "images/a.png"])
def test_backslashes(coco, tmp_path, name):
    data = coco({}, images=[{"id": 1, "file_name": name, "width": 60, "height": 40}])
    assert data[0][0].max() == 0
    Image.new("RGB", (60, 40), "white").save(tmp_path / "images\\a.png")
    assert data[0][0].max() == (1 if name == "images\\a.png" else 0)  # a file of the name itself


def test_byte_order_marks(coco, tmp_path):
    coco({})
    text = (tmp_path / "a.json").read_text()
    for encoding in ("utf-8-sig", "utf-16", "utf-32"):
        (tmp_path / "a.json").write_text(text, encoding)
        assert len(CocoDetection(tmp_path, tmp_path / "a.json")) == 1
