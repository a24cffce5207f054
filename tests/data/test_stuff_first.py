"""StuffFirst: COCO's ids to labels without gaps, by name."""

import pytest
import torch
from PIL import Image

from fastcv.data import CocoPanoptic, StuffFirst, write_coco_panoptic
from fastcv.results import Panoptic

NAMES = ("(unused)", "cat", "(unused)", "grass", "dog", "sky")
THINGS = (1, 4)


@pytest.fixture
def coco(tmp_path):
    """A picture with a cat, grass, a crowd of dogs and sky; ids far apart."""
    Image.new("RGB", (5, 2)).save(tmp_path / "a.png")
    ids = torch.tensor([[9, 9, 300, 70000, 0], [9, 9, 300, 70000, 5]], dtype=torch.int32)
    labels = {9: 1, 300: 3, 70000: 4, 5: 5}
    truth = Panoptic.from_map(ids, labels, NAMES, THINGS, crowds=[70000], source="a.png")
    write_coco_panoptic([truth], tmp_path / "ids", tmp_path / "ids.json")
    return CocoPanoptic(tmp_path, tmp_path / "ids", tmp_path / "ids.json")


def test_labels(coco):
    data = StuffFirst(coco)
    assert data.classes == ("grass", "sky", "cat", "dog")
    assert data.num_stuff == 2 and data.things == (2, 3) and len(data) == 1
    image, target = data[0]
    assert image.shape == (3, 2, 5)
    assert target["semantic"].tolist() == [[2, 2, 0, 3, 255], [2, 2, 0, 3, 1]]
    assert target["labels"].tolist() == [2, 3] and target["iscrowd"].tolist() == [False, True]
    assert target["panoptic"].classes == data.classes and target["panoptic"].things == (2, 3)
    before = coco[0][1]["panoptic"]
    assert torch.equal(target["panoptic"].segment_map, before.segment_map)
    assert [s.is_crowd for s in target["panoptic"].segments] == [
        s.is_crowd for s in before.segments
    ]


def test_a_models_order(coco):
    classes = ("water", "sky", "grass", "bird", "dog", "cat")
    data = StuffFirst(coco, classes)
    assert data.classes == classes
    target = data[0][1]
    assert target["semantic"].tolist() == [[5, 5, 2, 4, 255], [5, 5, 2, 4, 1]]
    assert target["labels"].tolist() == [5, 4]


def test_a_name_that_the_model_lacks(coco):
    with pytest.raises(ValueError, match="'dog' is not there"):
        StuffFirst(coco, ("sky", "grass", "cat"))
