"""Label maps from files, and from the masks of objects."""

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from fastcv.classes import class_names
from fastcv.data import DrawnDigits, LabelMaps, MaskFolder, VocSegmentation
from fastcv.results import Segmentation

LABELS = torch.tensor([[0, 1, 20], [15, 255, 0]])


def write(image, mask, labels=LABELS, size=(3, 2)):
    image.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "white").save(image)
    Segmentation(labels, class_names("voc")).save_labels(mask)


@pytest.fixture
def root(tmp_path):
    write(tmp_path / "i/b.jpg", tmp_path / "m/b.png")
    write(tmp_path / "i/a.webp", tmp_path / "m/a.png", labels=LABELS.flip(0))
    Image.new("RGB", (4, 4)).save(tmp_path / "i/not_labelled.png")
    (tmp_path / "m/notes.txt").write_text("no label map")
    (tmp_path / "m/.hidden.png").write_bytes(b"")
    return tmp_path


def test_mask_folder(root):
    data = MaskFolder(root / "i", root / "m", classes=["wall", "door"])
    assert [picture.name for picture, _ in data.files] == ["a.webp", "b.jpg"]
    image, labels = data[1]
    assert image.shape == (3, 2, 3) and image.dtype == torch.float32 and image.min() > 0.9
    assert torch.equal(labels, LABELS) and labels.dtype == torch.int64
    assert torch.equal(data[0][1], LABELS.flip(0)) and data.classes == ("wall", "door")


def test_transform_and_loader(root):
    data = MaskFolder(root / "i", root / "m", transform=lambda i, t: (i[:, :, 1:], t[:, 1:]))
    ((images, labels),) = DataLoader(data, batch_size=2)
    assert images.shape == (2, 3, 2, 2) and torch.equal(labels[1], LABELS[:, 1:])


def test_errors(root):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*none"):
        MaskFolder(root / "none", root / "m")
    with pytest.raises(FileNotFoundError, match=r"i has no label maps \(.png\)"):
        (root / "i/not_labelled.png").unlink()
        MaskFolder(root / "i", root / "i")
    write(root / "i/b.jpg", root / "m/b.png", size=(3, 5))
    with pytest.raises(ValueError, match=r"b.png is 2x3, and its image b.jpg is 5x3"):
        MaskFolder(root / "i", root / "m")[1]
    (root / "i/b.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"b.png has no image: there is no .*i/b\.\*"):
        MaskFolder(root / "i", root / "m")


def test_voc(tmp_path):
    names = ["2007_000032", "2007_000039"]
    for name in names:
        write(tmp_path / f"JPEGImages/{name}.jpg", tmp_path / f"SegmentationClass/{name}.png")
    sets = tmp_path / "ImageSets/Segmentation"
    sets.mkdir(parents=True)
    (sets / "val.txt").write_text("\n".join(names) + "\n")
    data = VocSegmentation(tmp_path, "val")
    assert len(data) == 2 and data.classes == class_names("voc")
    assert torch.equal(data[1][1], LABELS) and data[1][0].shape == (3, 2, 3)
    (tmp_path / "one.txt").write_text(names[1])
    assert len(VocSegmentation(tmp_path, tmp_path / "one.txt")) == 1
    with pytest.raises(FileNotFoundError, match=r"no image set .*Segmentation/test.txt"):
        VocSegmentation(tmp_path, "test")
    (tmp_path / f"SegmentationClass/{names[0]}.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"no image .*SegmentationClass/2007_000032.png"):
        data[0]


def test_label_maps_of_drawn_digits():
    digits = DrawnDigits("val", length=12)
    data = LabelMaps(digits)
    assert data.classes == digits.classes and len(data) == 12
    for index in range(12):
        image, labels = data[index]
        target = digits[index][1]
        assert torch.equal(image, digits[index][0])
        for mask, label in zip(target["masks"], target["labels"], strict=True):
            assert (labels[mask] == label).all()
        assert (labels[~target["masks"].any(dim=0)] == 0).all()


def black_and_white(root, *values, name="a", mode=None):
    (root / "m").mkdir(exist_ok=True)
    mask = Image.new("L", (3, 1))
    mask.putdata(values)
    (mask.convert(mode) if mode else mask).save(root / f"m/{name}.png")
    Image.new("RGB", (3, 1)).save(root / f"{name}.png")
    return root, root / "m"


@pytest.mark.parametrize("classes", [("background", "object"), ()])
@pytest.mark.parametrize("values", [(0, 255, 255), (255, 255, 255)])
def test_white_that_may_be_an_object_is_told(tmp_path, classes, values):
    data = MaskFolder(*black_and_white(tmp_path, *values), classes=classes)
    with pytest.warns(UserWarning, match=r"a.png has 0 and 255 alone, .*labels=\{0: 0, 255: 1\}"):
        assert data[0][1].tolist() == [list(values)]
    data[0]  # told once


@pytest.mark.parametrize("values", [(0, 1, 255), (0, 0, 0), (1, 1, 1), (0, 1, 0)])
def test_white_that_does_not_count_is_not_told(tmp_path, recwarn, values):
    data = MaskFolder(*black_and_white(tmp_path, *values), classes=("background", "object"))
    assert data[0][1].tolist() == [list(values)] and not recwarn.list


def test_white_among_labels_is_not_told(tmp_path, recwarn):
    black_and_white(tmp_path, 0, 1, 255)
    data = MaskFolder(*black_and_white(tmp_path, 0, 255, 0, name="b"), classes=("wall", "door"))
    assert [data[i][1].tolist() for i in range(2)] == [[[0, 1, 255]], [[0, 255, 0]]]
    assert not recwarn.list


def test_black_and_white_of_one_bit(tmp_path, recwarn):
    folders = black_and_white(tmp_path, 0, 255, 0, mode="1")
    assert MaskFolder(*folders, classes=("wall", "door"))[0][1].tolist() == [[0, 1, 0]]
    assert not recwarn.list


def test_what_values_mean(tmp_path, recwarn):
    folders = black_and_white(tmp_path, 0, 255, 128)
    meaning = {0: 0, 255: 1, 128: 255}
    data = MaskFolder(*folders, classes=("background", "object"), labels=meaning)
    assert data[0][1].tolist() == [[0, 1, 255]] and not recwarn.list
    with pytest.raises(ValueError, match=r"a.png has the value 128, which is not in labels"):
        MaskFolder(*folders, labels={0: 0, 255: 1})[0]


def test_labels_beyond_the_classes_are_told(tmp_path):
    data = MaskFolder(*black_and_white(tmp_path, 0, 128, 255), classes=("background", "object"))
    with pytest.warns(UserWarning, match=r"a.png has the label 128, and there are 2 classes"):
        data[0]


def test_links_to_nothing(root):
    for folder, name in (("i", "b.jpg"), ("m", "b.png")):
        path = root / folder / name
        path.rename(root / "kept")
        path.symlink_to(root / "gone")
        with pytest.raises(FileNotFoundError, match=rf"no image .*{name}: it is a link to nothing"):
            MaskFolder(root / "i", root / "m")
        path.unlink()
        (root / "kept").rename(path)


def test_voc_of_other_suffixes_and_windows(tmp_path):
    write(tmp_path / "JPEGImages/a b.png", tmp_path / "SegmentationClass/a b.png")
    (tmp_path / "one.txt").write_bytes("a b\r\n".encode("utf-8-sig"))
    data = VocSegmentation(tmp_path, tmp_path / "one.txt")
    assert torch.equal(data[0][1], LABELS)
