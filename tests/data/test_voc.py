"""VOC's layout, written as published, read back; what is wrong with a file is said."""

import numpy as np
import pytest
import torch
from PIL import Image

from fastcv.data import VocDetection

DOG = """
<object><name>dog</name><pose>Left</pose><truncated>1</truncated><difficult>0</difficult>
<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>4</xmax><ymax>6</ymax></bndbox></object>
"""
# Later years have parts with boxes of their own, numbers with a fraction, and tags left out.
PERSON = """
<object><name>person</name>
<part><name>head</name><bndbox><xmin>3</xmin><ymin>1</ymin><xmax>4</xmax><ymax>2</ymax></bndbox></part>
<bndbox><xmax>8</xmax><xmin>2.5</xmin><ymax>6</ymax><ymin>1</ymin></bndbox></object>
"""


@pytest.fixture
def root(tmp_path):
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    write(tmp_path, "000005", DOG + DOG.replace("difficult>0", "difficult>1"))
    write(tmp_path, "2008_000007", PERSON)
    write(tmp_path, "000009", "")
    names = "000005\n2008_000007\n000009\n"
    (tmp_path / "ImageSets/Main/train.txt").write_text(names)
    (tmp_path / "ImageSets/Main/dog_train.txt").write_text("000005  1\n000009 -1\n")
    return tmp_path


def write(root, name, objects):
    Image.fromarray(np.full((6, 8, 3), 255, np.uint8)).save(root / f"JPEGImages/{name}.jpg")
    size = "<size><width>8</width><height>6</height><depth>3</depth></size>"
    xml = f"<annotation><filename>{name}.jpg</filename>{size}{objects}</annotation>"
    (root / f"Annotations/{name}.xml").write_text(xml)


def test_boxes_and_difficult(root):
    dataset = VocDetection(root, "train")
    assert len(dataset) == 3
    assert len(dataset.classes) == 21 and dataset.classes[0] == "background"
    image, target = dataset[0]
    assert torch.equal(image, torch.ones(3, 6, 8))
    assert target["boxes"].tolist() == [[0, 1, 4, 6]] * 2
    assert [dataset.classes[label] for label in target["labels"]] == ["dog", "dog"]
    assert target["difficult"].tolist() == target["iscrowd"].tolist() == [False, True]
    assert target["area"].tolist() == [20, 20]
    assert target["image_id"] == 0


def test_parts_fractions_and_missing_tags(root):
    _, target = VocDetection(root, "train")[1]
    assert target["boxes"].tolist() == [[1.5, 0, 8, 6]]
    assert target["labels"].tolist() == [15] and target["difficult"].tolist() == [False]


def test_an_image_without_objects(root):
    _, target = VocDetection(root, "train")[-1]
    assert target["boxes"].shape == (0, 4) and target["labels"].shape == (0,)
    assert target["image_id"] == 2


def test_image_sets(root, tmp_path):
    assert VocDetection(root, "dog_train").names == ["000005", "000009"]
    (tmp_path / "own.txt").write_text("000009\n\n")
    assert VocDetection(root, tmp_path / "own.txt").names == ["000009"]


def test_own_classes(root):
    dataset = VocDetection(root, "dog_train", classes=["wolf", "dog"])
    assert dataset.classes == ("background", "wolf", "dog")
    assert dataset[0][1]["labels"].tolist() == [2, 2]


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        (DOG.replace("dog", "wolf"), "object 1 has the name 'wolf', which is not in classes"),
        (DOG + DOG.replace("<xmin>1</xmin>", ""), "object 2 must have four numbers in bndbox"),
        (DOG.replace("<xmin>1", "<xmin>one"), "object 1 must have four numbers in bndbox"),
        (DOG.replace("<xmin>1", "<xmin>5"), "object 1 has xmax < xmin or ymax < ymin"),
        ("<object>", "is not XML: mismatched tag"),
    ],
)
def test_malformed(root, objects, message):
    write(root, "000005", objects)
    with pytest.raises(ValueError, match=r"000005\.xml.*" + message):
        VocDetection(root, "train")


def test_missing_files(root):
    with pytest.raises(FileNotFoundError, match=r"there is no image set .*Main/val\.txt"):
        VocDetection(root, "val")
    dataset = VocDetection(root, "train")
    (root / "JPEGImages/000005.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no image .*000005\.jpg"):
        dataset[0]
    (root / "Annotations/000005.xml").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no annotation .*000005\.xml"):
        VocDetection(root, "train")
