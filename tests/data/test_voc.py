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


def own_set(root, lines, encoding="utf-8"):
    (root / "own.txt").write_bytes(lines.encode(encoding))
    return root / "own.txt"


@pytest.mark.parametrize("suffix", ["png", "PNG", "JPG", "jpeg", "bmp", "jfif"])
@pytest.mark.parametrize(
    "file_name",
    ["a.{}", " a.{} ", "C:\\photos\\a.{}", "../x/a.{}", "a", "b.jpg", "", ".", "..", "a" * 5000],
)
def test_pictures_of_other_suffixes(root, suffix, file_name):
    write(root, "a", DOG)
    (root / "JPEGImages/a.jpg").unlink()
    kind = "JPEG" if suffix in ("JPG", "jfif") else None
    Image.new("RGB", (8, 6), "white").save(root / f"JPEGImages/a.{suffix}", kind)
    xml = (root / "Annotations/a.xml").read_text()
    (root / "Annotations/a.xml").write_text(xml.replace("a.jpg", file_name.format(suffix)))
    image, target = VocDetection(root, own_set(root, "a"))[0]
    assert image.min() == 1 and len(target["boxes"]) == 1


def test_the_picture_that_the_xml_names(root):
    write(root, "a", DOG)
    Image.new("RGB", (8, 6), "black").save(root / "JPEGImages/a.png")  # beside a white a.jpg
    xml = (root / "Annotations/a.xml").read_text()
    (root / "Annotations/a.xml").write_text(xml.replace("a.jpg", "a.png"))
    assert VocDetection(root, own_set(root, "a"))[0][0].max() == 0
    (root / "JPEGImages/a.png").rename(root / "JPEGImages/photo 7.png")
    (root / "Annotations/a.xml").write_text(xml.replace("a.jpg", "photo 7.png"))
    with pytest.warns(UserWarning, match=r"a.xml names the image photo 7.png, .* there is a.jpg"):
        data = VocDetection(root, own_set(root, "a"))
    assert data[0][0].max() == 0
    (root / "JPEGImages/a.jpg").unlink()
    assert VocDetection(root, own_set(root, "a"))[0][0].max() == 0


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_image_sets_of_windows(root, encoding, newline):
    names = ["000005", "my photo", "my photo 1", "señal", "000009"]
    for name in names[1:4]:
        write(root, name, DOG)
    lines = ["000005", "my photo  1", "my photo 1", "señal -1 ", "", "000009 \t 0"]
    data = VocDetection(root, own_set(root, newline.join(lines), encoding))
    assert data.names == names
    assert data[2][0].shape == (3, 6, 8)


def test_names_that_are_no_utf8(root):
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    write(root, "cafe", DOG)
    for path in (root / "JPEGImages/cafe.jpg", root / "Annotations/cafe.xml"):
        path.rename(path.with_stem(name))
    (root / "own.txt").write_bytes(b"caf\xe9\n")
    assert len(VocDetection(root, root / "own.txt")[0][1]["boxes"]) == 1


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_annotations_with_a_byte_order_mark(root, encoding):
    path = root / "Annotations/000005.xml"
    path.write_text(path.read_text(), encoding)
    assert len(VocDetection(root, "dog_train")[0][1]["boxes"]) == 2
    path.write_text('<?xml version="1.0" encoding="shift-jis-of-mine"?><annotation/>')
    with pytest.raises(ValueError, match=r"000005.xml is not XML: "):
        VocDetection(root, "dog_train")


def counted(x1, y1, x2, y2):
    sides = zip(("xmin", "ymin", "xmax", "ymax"), (x1, y1, x2, y2), strict=True)
    box = "".join(f"<{name}>{value}</{name}>" for name, value in sides)
    return f"<object><name>dog</name><bndbox>{box}</bndbox></object>"


@pytest.mark.parametrize("box", [(0, 0, 7, 5), (0, 3, 4, 4), (3, 0, 4, 4)])
def test_boxes_counted_from_zero_are_cut_and_told(root, box):
    write(root, "a", counted(*box) + counted(2, 2, 4, 4))
    with pytest.warns(UserWarning, match="1 boxes begin at pixel 0, and the format counts from 1"):
        data = VocDetection(root, own_set(root, "a"))
    want = [max(0, box[0] - 1), max(0, box[1] - 1), box[2], box[3]]
    assert data[0][1]["boxes"].tolist() == [want, [1, 1, 4, 4]]


@pytest.mark.parametrize("box", [(9, 1, 12, 3), (-5, 1, -2, 3), (1, 7, 4, 9), (0, 0, 0, 0)])
@pytest.mark.filterwarnings("ignore:.*begin at pixel 0")
def test_boxes_outside_are_left_out_and_told(root, box):
    write(root, "a", counted(*box) + counted(2, 2, 40, 40))
    data = VocDetection(root, own_set(root, "a"))
    with pytest.warns(UserWarning, match=r"a.jpg: boxes outside of the image are left out"):
        _, target = data[0]
    assert target["boxes"].tolist() == [[1, 1, 8, 6]] and target["area"].tolist() == [35]
    assert len(target["labels"]) == len(target["difficult"]) == 1


@pytest.mark.parametrize("value", ["nan", "inf", "", "1,5"])
def test_boxes_of_no_numbers(root, value):
    write(root, "000005", counted(1, 1, value, 4))
    with pytest.raises(ValueError, match=r"000005.xml: object 1 must have four numbers"):
        VocDetection(root, "train")
