"""COCO's panoptic format: what is written is read back, and files that do not fit are told."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from fastcv.data import CocoPanoptic, panoptic_target, write_coco_panoptic
from fastcv.images import read_ids
from fastcv.metrics import PanopticMetrics
from fastcv.results import Panoptic

CLASSES, THINGS = ("(unused)", "grass", "(unused)", "cat", "dog"), (3, 4)


def truth(number, source=None):
    """Grass, a cat, a crowd of dogs, void; ids of 24 bits."""
    ids = torch.zeros(8, 12, dtype=torch.int32)
    ids[:4] = 7 + number
    ids[3:7, 2:5] = 256**2 + 5
    ids[4:8, 6:11] = 256**3 - 1
    labels = {7 + number: 1, 256**2 + 5: 3, 256**3 - 1: 4}
    return Panoptic.from_map(ids, labels, CLASSES, THINGS, crowds={256**3 - 1}, source=source)


@pytest.fixture
def folder(tmp_path):
    """Two pictures with their annotations; the second has the lower id."""
    made = []
    for number, name in enumerate(("b.jpg", "a.jpg")):
        pixels = np.full((8, 12, 3), 50 * number, np.uint8)
        Image.fromarray(pixels).save(tmp_path / name)
        made.append(truth(number, source=str(tmp_path / name)))
    write_coco_panoptic(made, tmp_path / "ids", tmp_path / "ids.json", image_ids=[9, 4])
    return tmp_path


def dataset(folder):
    return CocoPanoptic(folder, folder / "ids", folder / "ids.json")


def rewritten(folder, change):
    content = json.loads((folder / "ids.json").read_text())
    change(content)
    (folder / "ids.json").write_text(json.dumps(content))


def test_what_is_written_is_read_back(folder):
    data = dataset(folder)
    assert (data.classes, data.things, len(data)) == (CLASSES, THINGS, 2)
    assert [path.name for path in data.files] == ["a.jpg", "b.jpg"]  # by image id
    for index, (image_id, number) in enumerate(((4, 1), (9, 0))):
        image, target = data[index]
        assert image.shape == (3, 8, 12) and target["image_id"] == image_id
        assert abs(float(image.mean()) * 255 - 50 * number) < 2
        expected, found = truth(number), target["panoptic"]
        assert torch.equal(found.segment_map, expected.segment_map)
        assert found.segments == expected.segments
        assert found.source == str(data.files[index])


def test_targets_of_things(folder):
    _, target = dataset(folder)[0]
    assert target["labels"].tolist() == [3, 4]
    assert target["iscrowd"].tolist() == [False, True]
    assert target["area"].tolist() == [12, 20]
    assert target["boxes"].tolist() == [[2, 3, 5, 7], [6, 4, 11, 8]]
    assert target["masks"].dtype == torch.bool
    assert torch.equal(target["masks"].sum((1, 2)), torch.tensor([12, 20]))
    assert target["semantic"].unique().tolist() == [1, 3, 4, 255]
    nothing = panoptic_target(Panoptic.from_map(torch.zeros(2, 3).int(), {}, CLASSES, THINGS))
    assert nothing["masks"].shape == (0, 2, 3) and nothing["boxes"].shape == (0, 4)


def test_files_are_as_coco_has_them(folder):
    content = json.loads((folder / "ids.json").read_text())
    assert content["images"][0] == {"id": 9, "file_name": "b.jpg", "height": 8, "width": 12}
    row = content["annotations"][1]
    assert (row["image_id"], row["file_name"]) == (4, "a.png")
    assert row["segments_info"][2] == {
        "id": 256**3 - 1,
        "category_id": 4,
        "area": 20,
        "bbox": [6, 4, 5, 4],
        "iscrowd": 1,
    }
    assert content["categories"] == [
        {"id": 1, "name": "grass", "isthing": 0},
        {"id": 3, "name": "cat", "isthing": 1},
        {"id": 4, "name": "dog", "isthing": 1},
    ]
    assert torch.equal(read_ids(folder / "ids" / "a.png"), truth(1).segment_map)


def test_maps_that_come_from_no_file(tmp_path):
    write_coco_panoptic((truth(i) for i in range(2)), tmp_path, tmp_path / "all.json")
    names = sorted(path.name for path in tmp_path.glob("*.png"))
    assert names == ["000000000000.png", "000000000001.png"]
    write_coco_panoptic([], tmp_path / "none", tmp_path / "none.json")
    content = json.loads((tmp_path / "none.json").read_text())
    assert content == {"images": [], "annotations": [], "categories": []}


def test_a_picture_that_exif_turns(tmp_path):
    """The annotations are of the pixels as they are stored."""
    pixels = np.zeros((8, 12, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif)
    write_coco_panoptic([truth(0, source="a.jpg")], tmp_path / "ids", tmp_path / "ids.json")
    image, target = dataset(tmp_path)[0]
    assert image.shape == (3, 12, 8)
    assert torch.equal(target["panoptic"].segment_map, truth(0).segment_map.T.flip(1))
    assert torch.equal(target["panoptic"].segment_map == 7, target["semantic"] == 1)


def test_measured_against_itself(folder):
    metrics = PanopticMetrics(CLASSES, THINGS)
    for _, target in dataset(folder):
        metrics.add(target["panoptic"], target["panoptic"])
    assert metrics.compute()["PQ_by_class"] == {"grass": 1, "cat": 1}  # a crowd does not count


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: c.pop("images"), 'must have a list of objects "images"'),
        (lambda c: c["annotations"][0].pop("image_id"), 'must have "image_id" as int, got None'),
        (lambda c: c["annotations"][0].update(image_id=5), "b.png is of image 5, which is not in"),
        (lambda c: c["annotations"][0].update(image_id=4), "has two annotations of image 4"),
        (lambda c: c["categories"][0].update(id=10**6), "category ids must be 0 to 999999"),
        (
            lambda c: c["annotations"][0]["segments_info"].append(3),
            "segment 3 of b.png must be an object, got 3",
        ),
    ],
)
def test_malformed(folder, change, words):
    rewritten(folder, change)
    with pytest.raises(ValueError, match=words):
        dataset(folder)


def test_png_and_json_that_do_not_fit(folder):
    rewritten(folder, lambda c: c["annotations"][1]["segments_info"].pop())
    data = dataset(folder)
    with pytest.raises(ValueError, match=r"a.png and ids.json: the map has the id 16777215, which"):
        data[0]
    Image.new("RGB", (5, 8)).save(folder / "ids" / "a.png")
    with pytest.raises(ValueError, match=r"a.png is 8x5, and its image a.jpg is 8x12"):
        data[0]
    Image.new("P", (12, 8)).save(folder / "ids" / "a.png")
    with pytest.raises(ValueError, match="its pixels are P, and ids of segments are RGB"):
        data[0]
    (folder / "ids" / "a.png").unlink()
    with pytest.raises(FileNotFoundError, match="there is no image"):
        data[0]


def test_what_is_not_there(folder):
    with pytest.raises(FileNotFoundError, match="there is no folder of images"):
        CocoPanoptic(folder / "x", folder / "ids", folder / "ids.json")
    with pytest.raises(FileNotFoundError, match="there is no folder of label maps"):
        CocoPanoptic(folder, folder / "x", folder / "ids.json")
    with pytest.raises(FileNotFoundError, match="there is no annotation file"):
        CocoPanoptic(folder, folder / "ids", folder / "x.json")
    (folder / "ids.json").write_text("[")
    with pytest.raises(ValueError, match=r"ids\.json is not JSON"):
        dataset(folder)


@pytest.mark.parametrize(
    ("maps", "image_ids", "words"),
    [
        ([truth(0, "a.jpg"), truth(1, "b/a.jpg")], None, "two maps have the name a.png"),
        ([truth(0), truth(1)], [3, 3], "two maps have the image id 3"),
        ([truth(0), truth(1)], [3], "image_ids must be one for each map, there are 1 and more"),
        ([truth(0)], [3, 4], "image_ids must be one for each map, there are 1 maps and more"),
        (
            [truth(0), Panoptic.from_map(torch.zeros(2, 3).int(), {}, ("a",), ())],
            None,
            "all maps must have the same classes and things, map 1 not",
        ),
        (
            [Panoptic.from_map(torch.full((1, 2), 256**3).int(), {256**3: 1}, CLASSES, THINGS)],
            None,
            "ids must be 16777215 or less",
        ),
    ],
)
def test_what_cannot_be_written(tmp_path, maps, image_ids, words):
    with pytest.raises(ValueError, match=words):
        write_coco_panoptic(maps, tmp_path, tmp_path / "all.json", image_ids=image_ids)
    assert not (tmp_path / "all.json").exists()
