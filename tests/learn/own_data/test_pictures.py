"""Pictures of one's own: what is found, what looks wrong, what is refused; the two parts."""

from collections import Counter

import pytest
import torch
from own_pictures import coco, folders, picture
from PIL import Image

from fastcv.learn.own_data import boxes, classes, label_maps
from fastcv.learn.own_data._pictures import Annotated, shared, without_objects
from fastcv.results import Segmentation


def test_report_counts_objects_and_pictures(tmp_path):
    box = (5, 5, 20, 20)
    where = coco(
        tmp_path,
        [(1, 1, box), (1, 1, (8, 8, 9, 9)), (2, 1, box)],
        files=("a.png", "b.png", "c.png"),
    )
    found = boxes.coco(*where)
    assert found.report("here") == [
        "here: 3 pictures of about 60 x 40 pixels, 3 objects of 2 classes; "
        "1 picture without objects",
        "  class objects  pictures",
        "  cat         3         2",
        "  dog         0         0",
    ]
    assert without_objects(found) == ["1 class has no object to learn from: dog"]
    assert found.suspicious == [] and found.to_dict()["objects"] == {"cat": 3, "dog": 0}


@pytest.mark.parametrize(
    ("box", "told"),
    [
        ((-5, 5, 20, 20), "1 box reaches outside the picture: a.png (box 1)"),
        ((50, 5, 20, 20), "1 box reaches outside the picture: a.png (box 1)"),
        ((5, 30, 20, 20), "1 box reaches outside the picture: a.png (box 1)"),
        ((5, 5, 1.5, 20), "1 box is under 2 pixels wide or high: a.png (box 1)"),
        ((5, 5, 20, 1), "1 box is under 2 pixels wide or high: a.png (box 1)"),
        ((0, 0, 60, 40), "1 box covers the whole picture: a.png (box 1)"),
    ],
)
def test_suspicious_boxes(tmp_path, box, told):
    assert boxes.coco(*coco(tmp_path, [(1, 1, box), (2, 2, (3, 3, 30, 30))])).suspicious == [told]


def test_a_box_may_reach_a_pixel_over_the_edge(tmp_path):
    where = coco(tmp_path, [(1, 1, (-0.9, -0.9, 30, 30)), (2, 2, (40, 20, 20.9, 20.9))])
    assert boxes.coco(*where).suspicious == []


def test_suspicious_doubles(tmp_path):
    box = (5, 5, 20, 20)
    annotations = [(1, 1, box), (1, 1, box), (2, 1, box), (2, 2, box), (2, 1, (0, 0, 0, 9))]
    where = coco(tmp_path, annotations, names=("Cat", "cat "), files=("a.png", "b.png", "a.png"))
    assert boxes.coco(*where).suspicious == [
        f"{where[1]}: 1 of 5 boxes have no area and are left out",
        f"1 picture is listed twice: {tmp_path / 'i' / 'a.png'}",
        "two classes are called 'cat', but for capitals or spaces",
        "1 box is there twice with the same class: a.png (box 2)",
        "1 box is there with two classes: b.png (box 2)",
    ]


def test_sizes_are_as_a_person_sees_them(tmp_path):
    """A picture that its EXIF turns is 40 x 60; its box is of the 60 x 40 that the file says."""
    where = coco(tmp_path, [(1, 1, (30, 5, 25, 30))], files=("a.jpg", "b.jpg"))
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (60, 40)).save(tmp_path / "i" / "a.jpg", exif=exif)
    found = boxes.coco(*where)
    assert found.sizes == [(40, 60), (60, 40)] and found.suspicious == []


@pytest.mark.parametrize(
    ("annotations", "spoil", "message"),
    [
        ([], None, "2 pictures and no object of any class"),
        ([(1, 1, (0.1, 0.1, 0.5, 0.5))], None, "look like shares .* must be pixels"),
        (
            [(1, 1, (1, 1, 9, 9))],
            lambda f: (f / "b.png").unlink(),
            "1 picture is not there: .*b.png",
        ),
        (
            [(1, 1, (1, 1, 9, 9))],
            lambda f: (f / "b.png").write_text("no picture"),
            "1 picture cannot be read: .*b.png: mend or remove them",
        ),
    ],
)
def test_boxes_that_cannot_teach(tmp_path, annotations, spoil, message):
    where = coco(tmp_path, annotations)
    if spoil is not None:
        spoil(tmp_path / "i")
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        boxes.coco(*where)


def test_an_empty_set(tmp_path):
    with pytest.raises(ValueError, match="there are no pictures: the set is empty"):
        boxes.coco(*coco(tmp_path, [], files=()))


def voc(root, objects, suffix="train"):
    """VOC's layout; ``objects``: by picture, names and boxes that count pixels from 1."""
    for folder in ("Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name, of_one in objects.items():
        picture(root / "JPEGImages" / f"{name}.jpg")
        tags = "".join(
            f"<object><name>{label}</name><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>"
            f"<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>"
            for label, (x1, y1, x2, y2) in of_one
        )
        (root / "Annotations" / f"{name}.xml").write_text(f"<annotation>{tags}</annotation>")
    (root / "ImageSets/Main" / f"{suffix}.txt").write_text("\n".join(objects) + "\n")
    return str(root), suffix


def test_files_as_other_programs_name_them(tmp_path):
    """Backslashes in COCO's names; VOC's pictures as PNG."""
    images, annotations = coco(tmp_path, [(1, 1, (5, 5, 9, 9))], files=("s/a.png", "b.png"))
    path = tmp_path / "a.json"
    path.write_text(path.read_text().replace("s/a.png", r"s\\a.png"))
    found = boxes.coco(images, annotations)
    assert found.files[0] == tmp_path / "i" / "s" / "a.png" and found.suspicious == []
    where = voc(tmp_path / "voc", {"a b": [("cat", (1, 1, 9, 9))], "c": []})
    (tmp_path / "voc/JPEGImages/a b.jpg").unlink()
    picture(tmp_path / "voc/JPEGImages/a b.png")
    found = boxes.voc(*where)
    assert found.files[0].name == "a b.png" and len(found.data[0][1]["boxes"]) == 1


def test_voc_has_classes_of_its_own(tmp_path):
    where = voc(tmp_path, {"a": [("rust", (1, 1, 9, 9)), ("crack", (2, 2, 80, 20))], "b": []})
    found = boxes.voc(*where)
    assert found.classes == ("background", "crack", "rust") and found.labels == [[2, 1], []]
    assert found.suspicious == ["1 box reaches outside the picture: a.jpg (box 2)"]
    assert found.data[0][1]["labels"].tolist() == [2, 1]
    other = voc(tmp_path / "val", {"c": [("dent", (1, 1, 9, 9))]})
    with pytest.raises(ValueError, match="name 'dent', which is not in classes"):
        boxes.voc(*other, classes=found.classes)


def test_folders(tmp_path):
    found = classes.folder(folders(tmp_path, cat=[1, 2, 3], dog=[3]))
    assert found.classes == ("cat", "dog") and found.labels == [[0], [0], [0], [1]]
    assert found.suspicious == [
        f"1 picture is in the folder of another class too: {tmp_path / 'dog' / '0.png'}"
    ]
    assert found.report("here")[:3] == [
        "here: 4 pictures of about 60 x 40 pixels, of 2 classes",
        "  class  pictures",
        "  cat           3",
    ]
    (tmp_path / "owl").mkdir()
    with pytest.raises(ValueError, match=r"class folder .*owl has no images"):
        classes.folder(str(tmp_path))


def masks(root, *maps, names=None):
    for i, labels in enumerate(maps):
        labels = torch.tensor(labels)
        picture(root / "i" / f"{i}.png", size=(labels.shape[1], labels.shape[0]))
        Segmentation(labels, ()).save_labels(root / "m" / f"{i}.png")
    if names:
        (root / "m" / "classes.txt").write_text("\n".join(names) + "\n")
    return str(root / "i"), str(root / "m")


def strip(*labels):
    """20 rows of labels, each 10 pixels wide."""
    return [[label for label in labels for _ in range(10)]] * 20


def test_label_maps(tmp_path):
    found = label_maps.masks(*masks(tmp_path, strip(0, 0, 2), strip(0, 255), strip(2, 1)))
    assert found.classes == ("background", "class 1", "class 2")
    assert found.labels == [[2], [], [1, 2]] and found.sizes == [(30, 20), (20, 20), (20, 20)]


def test_label_maps_with_names(tmp_path):
    names = ("road", "tree", "sky")
    found = label_maps.masks(*masks(tmp_path, strip(0, 0, 1), strip(0, 0), names=names))
    assert found.classes == names and found.labels == [[0, 1], [0]]  # label 0 is a class
    assert without_objects(found) == ["1 class has no object to learn from: sky"]
    with pytest.raises(ValueError, match="label 1 is 'tree' in the annotations and 'bush'"):
        label_maps.masks(*masks(tmp_path, strip(0, 1)), classes=("road", "bush", "sky"))


@pytest.mark.parametrize(
    ("maps", "names", "message"),
    [
        ([strip(0, 255)], None, "no label but 0 .* and 255 .*need 1 in place of 255"),
        ([strip(0, 0)], None, "no label but 0"),
        ([strip(0, 7)], ("background", "cat"), "has the label 7, and there are 2 classes"),
    ],
)
def test_label_maps_that_cannot_teach(tmp_path, maps, names, message):
    with pytest.raises(ValueError, match=message):
        label_maps.masks(*masks(tmp_path, *maps, names=names))


def test_a_label_map_of_another_size(tmp_path):
    where = masks(tmp_path, strip(0, 1))
    picture(tmp_path / "i" / "0.png", size=(20, 30))
    with pytest.raises(
        ValueError, match=r"differ in size: 0.png \(20 x 30, its label map 20 x 20\)"
    ):
        label_maps.masks(*where)


def test_voc_label_maps(tmp_path):
    (tmp_path / "ImageSets/Segmentation").mkdir(parents=True)
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("a\n")
    picture(tmp_path / "JPEGImages/a.jpg", size=(20, 20))
    Segmentation(torch.tensor(strip(0, 2)), ()).save_labels(tmp_path / "SegmentationClass/a.png")
    found = label_maps.voc(str(tmp_path), "train")
    assert found.classes[2] == "bicycle" and found.labels == [[2]]
    (tmp_path / "classes.txt").write_text("background\nroad\ncar\n")
    assert label_maps.voc(str(tmp_path), "train").classes == ("background", "road", "car")


# Parts.


def pictures(*labels):
    names = ("background", "a", "b", "c")
    files = [f"{i}.png" for i in range(len(labels))]
    sizes = [(9, 9)] * len(labels)
    return Annotated(list(labels), names, files, labels, background=True, sizes=sizes)


@pytest.mark.parametrize("seed", range(5))
def test_split_gives_each_class_some(seed):
    found = pictures(*[[1]] * 70, *[[1, 2]] * 20, *[[3]] * 10, *[[]] * 20)
    train, val = found.split(0.1, seed)
    assert len(train) == 108 and len(val) == 12
    assert Counter(map(tuple, val.labels)) == {(1,): 7, (1, 2): 2, (3,): 1, (): 2}
    assert not set(train.files) & set(val.files)
    assert val.data[0] == val.labels[0]  # an item's own annotations
    again = found.split(0.1, seed)
    assert again[1].files == val.files


@pytest.mark.parametrize(("n", "fraction", "validate"), [(2, 0.1, 1), (3, 0.9, 2), (10, 0.25, 2)])
def test_split_leaves_some_on_both_sides(n, fraction, validate):
    train, val = pictures(*[[1]] * n).split(fraction, 0)
    assert (len(train), len(val)) == (n - validate, validate)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 1.5])
def test_split_refuses(fraction):
    with pytest.raises(ValueError, match="val_fraction must be above 0 and below 1"):
        pictures([1], [1]).split(fraction, 0)
    with pytest.raises(ValueError, match="there is 1 picture: at least two are needed"):
        pictures([1]).split(0.5, 0)


def test_pictures_in_both_sets(tmp_path):
    found = boxes.coco(*coco(tmp_path, [(1, 1, (5, 5, 20, 20))]))
    (told,) = shared(found, found.part([1]))
    assert told.startswith("1 picture is in both sets") and told.endswith("b.png")
    assert shared(found.part([0]), found.part([1])) == []
