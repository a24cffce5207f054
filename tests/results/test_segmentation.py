"""Segmentations: what they say, the files they write, and drawings that a person can read."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from fastcv.draw import canvas as drawing
from fastcv.draw.canvas import color_of
from fastcv.images import BrokenImageError, read_image, read_labels
from fastcv.results import Segmentation

CLASSES = ("background", "cat", "dog")


def segmentation(size=(400, 600), classes=CLASSES, **options):
    """A cat, and a dog in the corner below it to the right."""
    labels = torch.zeros(size, dtype=torch.int64)
    labels[100:200, 150:300] = 1
    labels[200:, 300:] = 2
    return Segmentation(labels, classes, **options)


def test_what_it_says():
    found = segmentation()
    # 100 x 150 and 200 x 300 of 400 x 600 pixels.
    assert found.shares() == [("background", 0.6875), ("dog", 0.25), ("cat", 0.0625)]
    assert repr(found) == "Segmentation(400x600: background 68.8 %, dog 25.0 %, cat 6.2 %)"
    many = Segmentation(torch.arange(7)[None], ("wall", "sky"))
    assert repr(many).endswith("class 3 14.3 %, class 4 14.3 %, 2 more classes)")


def test_unlabelled_pixels():
    labels = torch.tensor([[255, 255, 1]])
    assert Segmentation(labels, CLASSES).shares()[0] == ("unlabelled", 2 / 3)
    # With so many classes, 255 is one of them.
    assert Segmentation(labels, tuple(map(str, range(256)))).shares()[0] == ("255", 2 / 3)


def test_to_dict_and_json(tmp_path):
    found = segmentation(source="a.jpg")
    expected = {
        "file": "a.jpg",
        "size": [400, 600],
        "classes": [
            {"label": 0, "name": "background", "pixels": 165000, "share": 0.6875},
            {"label": 2, "name": "dog", "pixels": 60000, "share": 0.25},
            {"label": 1, "name": "cat", "pixels": 15000, "share": 0.0625},
        ],
    }
    assert found.to_dict() == expected
    found.save(tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == expected


def test_bad_values():
    labels = torch.zeros(4, 5, dtype=torch.int64)
    for bad in (labels[None], labels[:0]):
        with pytest.raises(ValueError, match=r"labels must be \[H, W\], got \["):
            Segmentation(bad, CLASSES)
    for bad in (labels.float(), labels > 0):
        with pytest.raises(TypeError, match="labels must be integers, got torch"):
            Segmentation(bad, CLASSES)
    with pytest.raises(ValueError, match=r"scores must be \[C, 4, 5\], got \[3, 5, 4\]"):
        Segmentation(labels, CLASSES, torch.zeros(3, 5, 4))
    with pytest.raises(ValueError, match="labels must be 0 or more, got -1"):
        Segmentation(labels - 1, CLASSES).shares()


# Files of labels.


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8])
def test_labels_come_back(tmp_path, dtype):
    labels = torch.arange(256, dtype=dtype).reshape(8, 32)
    Segmentation(labels, CLASSES).save_labels(tmp_path / "new" / "a.png")
    assert torch.equal(read_labels(tmp_path / "new" / "a.png"), labels.long())
    picture = Image.open(tmp_path / "new" / "a.png")
    assert picture.mode == "P" and picture.size == (32, 8)
    colors = read_image(tmp_path / "new" / "a.png").flatten(1).T.tolist()
    assert colors[0] == [0, 0, 0] and tuple(colors[2]) == color_of(2)
    assert colors[255] == [224, 224, 192]


def test_labels_of_many_classes_come_back(tmp_path):
    labels = torch.arange(65536).reshape(256, 256)
    Segmentation(labels, CLASSES).save_labels(tmp_path / "a.PNG")
    assert torch.equal(read_labels(tmp_path / "a.PNG"), labels)
    with pytest.raises(ValueError, match="labels must be 65535 or less for a PNG, got 65536"):
        Segmentation(labels + 1, CLASSES).save_labels(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"must end in .png, which keeps labels exactly, got 'a.j"):
        Segmentation(labels, CLASSES).save_labels(tmp_path / "a.jpg")


def test_pictures_are_no_labels(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(BrokenImageError, match=r"a.png cannot .* colours \(RGB\) and not labels"):
        read_labels(tmp_path / "a.png")
    with pytest.raises(FileNotFoundError, match=r"there is no image .*b.png"):
        read_labels(tmp_path / "b.png")


# Drawings.


def draw(found, value=100, **options):
    picture = np.full((*found.labels.shape, 3), value, np.uint8)
    return np.asarray(found.draw(picture, **options)).astype(int)


def test_regions_are_drawn_where_they_are():
    drawn = draw(segmentation(), legend=False)
    assert drawn.shape == (400, 600, 3)
    cat, dog = (np.array(color_of(label)) for label in (1, 2))
    assert (drawn[150, 225] == (100 + cat) // 2).all()  # translucent inside
    assert (drawn[300, 450] == (100 + dog) // 2).all()
    assert (drawn[:100] == 100).all() and (drawn[250:, :290] == 100).all()  # the background
    # From the border inwards: a dark edge, the full colour, the translucent one.
    assert drawn[150, 150:156].tolist() == [
        [0, 0, 0],
        *[cat.tolist()] * 2,
        *drawn[150:153, 225].tolist(),
    ]
    assert (drawn[150, 149] == 100).all() and (drawn[150, 300] == 100).all()
    assert (drawn[399, 450] == (100 + dog) // 2).all()  # the picture's own edge is no border


def test_without_a_background_every_class_is_coloured():
    found = segmentation(classes=("wall", "cat", "dog"))
    assert (draw(found)[50, 50] == (100 + np.array(color_of(0))) // 2).all()


def test_bands_leave_no_seams(monkeypatch):
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randint(4, (9, 12), generator=generator)
    found = Segmentation(coarse.repeat_interleave(11, 0).repeat_interleave(13, 1), CLASSES)
    whole = draw(found)
    for band in (1, 5000):
        monkeypatch.setattr(drawing, "BAND", band)
        assert (draw(found) == whole).all()


def test_the_legend_is_below_the_picture():
    found = segmentation()
    drawn = draw(found)
    assert drawn.shape[0] > 400 and drawn.shape[1] == 600
    assert (drawn[:400] == draw(found, legend=False)).all()
    below = drawn[400:].reshape(-1, 3).tolist()
    for color in ((0, 0, 0), color_of(1), color_of(2)):
        assert below.count(list(color)) > 500  # a plate with its name
    long_names = Segmentation(torch.arange(30)[None], tuple("n" * 40 for _ in range(30)))
    assert draw(long_names).shape[1] == 330  # rows of plates, none wider than the picture


@pytest.mark.parametrize("size", [(1, 1), (40, 3), (3, 500), (64, 64), (1200, 1600)])
def test_any_size_is_drawn(size):
    labels = torch.zeros(size, dtype=torch.uint8)
    labels[size[0] // 2 :] = 1
    drawn = draw(Segmentation(labels, ("wall", "cat")), legend=False)
    scale = max(1, -(-320 // max(size)))
    assert drawn.shape == (size[0] * scale, size[1] * scale, 3)
    assert (drawn != 100).any()


def test_save_draws_and_another_size_is_refused(tmp_path):
    found = segmentation()
    found.save(tmp_path / "a.png", np.zeros((400, 600, 3), np.uint8))
    assert Image.open(tmp_path / "a.png").mode == "RGB"
    with pytest.raises(
        ValueError, match="image must be 400x600, the size of the labels, got 600x4"
    ):
        found.draw(np.zeros((600, 400, 3), np.uint8))
    with pytest.raises(ValueError, match="image is needed"):
        found.save(tmp_path / "b.png")
