"""Results: what they say, what they write, and drawings that a person can read."""

import json

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image

from fastcv.draw.canvas import Canvas, color_of, text_color_on
from fastcv.results import Classification, Detections

CLASSES = ("background", "cat", "dog")


def detections(boxes, labels=None, scores=None, size=(100, 200), source=None):
    n = len(boxes)
    return Detections(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        torch.tensor(scores or [0.5] * n),
        torch.tensor(labels or [1] * n, dtype=torch.int64),
        CLASSES,
        size,
        source,
    )


@pytest.fixture
def found():
    boxes = [[10.0, 20, 60, 80], [0, 0, 20.5, 30.25], [100, 50, 190, 95]]
    return detections(boxes, [2, 1, 2], [0.9, 0.75, 0.25])


def test_repr(found):
    assert repr(found) == "Detections(3 boxes in 100x200: 2 dog 0.90, 1 cat 0.75)"
    assert repr(found[1]) == "Detections(1 box in 100x200: 1 cat 0.75)"
    assert repr(detections([])) == "Detections(0 boxes in 100x200)"
    many = detections([[0, 0, 1, 1]] * 7, labels=[7, 7, 2, 3, 4, 5, 6])
    assert repr(many).startswith("Detections(7 boxes in 100x200: 2 class 7 0.50, 1 dog 0.50, ")
    assert repr(many).endswith(", 1 more classes)")


@pytest.mark.parametrize(
    "index, kept",
    [
        (torch.tensor([True, False, True]), [0, 2]),
        (torch.tensor([2, 0]), [2, 0]),
        (slice(1, None), [1, 2]),
        ([0], [0]),
        (1, [1]),
        (-1, [2]),
    ],
)
def test_index(found, index, kept):
    part = found[index]
    assert torch.equal(part.boxes, found.boxes[kept]) and torch.equal(
        part.labels, found.labels[kept]
    )
    assert torch.equal(part.scores, found.scores[kept]) and len(part) == len(kept)
    assert part.classes == CLASSES and part.image_size == (100, 200)


def test_to_another_device(found):
    moved = found.to("meta")
    assert all(x.is_meta for x in (moved.boxes, moved.scores, moved.labels))
    assert moved.classes == CLASSES and moved.image_size == (100, 200)
    assert found.boxes.device.type == "cpu"


def test_iteration_ends(found):
    assert [round(one.scores.item(), 2) for one in found] == [0.9, 0.75, 0.25]


def test_shapes_are_checked():
    good = (torch.zeros(2, 4), torch.zeros(2), torch.zeros(2, dtype=torch.int64))
    for bad, words in [
        ((torch.zeros(2, 5), *good[1:]), r"boxes must be \[N, 4\], got \[2, 5\]"),
        ((good[0], torch.zeros(3), good[2]), r"scores must be \[2\], one for each box, got \[3\]"),
        ((*good[:2], torch.zeros(2, 1)), r"labels must be \[2\], one for each box, got \[2, 1\]"),
    ]:
        with pytest.raises(ValueError, match=words):
            Detections(*bad, CLASSES, (10, 10))


def test_to_dict_and_json(found, tmp_path):
    found.source = "a.jpg"
    expected = {
        "file": "a.jpg",
        "size": [100, 200],
        "detections": [
            {"label": 2, "name": "dog", "score": 0.9, "box": [10, 20, 60, 80]},
            {"label": 1, "name": "cat", "score": 0.75, "box": [0, 0, 20.5, 30.25]},
            {"label": 2, "name": "dog", "score": 0.25, "box": [100, 50, 190, 95]},
        ],
    }
    assert found.to_dict() == expected
    found.save(tmp_path / "new" / "a.json")
    assert json.loads((tmp_path / "new" / "a.json").read_text()) == expected


def test_to_coco(found):
    assert found.to_coco(7)[1] == {
        "image_id": 7,
        "category_id": 1,
        "bbox": [0.0, 0.0, 20.5, 30.25],
        "score": 0.75,
    }
    assert found.to_coco(7)[0]["bbox"] == [10.0, 20.0, 50.0, 60.0]


# Drawings.


def test_a_box_is_drawn_where_it_is():
    size = (400, 600)
    picture = np.full((*size, 3), 128, np.uint8)
    drawn = np.asarray(detections([[100, 200, 300, 350]], size=size).draw(picture)).astype(int)
    assert drawn.shape == picture.shape
    is_line = (drawn == color_of(1)).all(axis=2)
    rows, columns = np.nonzero(is_line[200:])  # below the plate
    assert (rows.min() + 200, rows.max() + 200) == (200, 349)  # half-open
    assert (columns.min(), columns.max()) == (100, 299)
    assert (drawn[210:340, 110:290] == 128).all()  # nothing inside
    plate = (drawn[170:200, 100:190] == color_of(1)).all(axis=2)
    assert plate.any() and (drawn[:170] == 128).all()


@pytest.mark.parametrize("size", [(64, 64), (40, 3), (1, 1), (3, 500), (480, 640), (1200, 1600)])
def test_plates_stay_inside_the_picture(size):
    height, width = size
    canvas = Canvas(Image.new("RGB", (width, height)))
    corners = [(0, 0), (width - 1, 0), (0, height - 1), (width - 1, height - 1), (width / 2, -5)]
    for x, y in corners:
        canvas.box([x, y, x + 1, y + 1], 1)
        canvas.tag([x, y, x + 1, y + 1], 1, "a rather long name of a class 0.99")
    for x1, y1, x2, y2 in canvas.taken:
        assert 0 <= x1 < x2 <= canvas.picture.width
        # One row of text may be higher than a strip of a few pixels.
        assert y2 > y1 and (canvas.plate_height > canvas.picture.height or y1 >= 0)
        assert canvas.plate_height > canvas.picture.height or y2 <= canvas.picture.height


def test_plates_avoid_each_other():
    picture = Image.new("RGB", (600, 400))
    canvas = Canvas(picture)
    for label in range(4):
        canvas.tag([200, 150, 400, 300], label, f"name {label}")
    plates = canvas.taken
    for i, a in enumerate(plates):
        for b in plates[:i]:
            assert min(a[2], b[2]) <= max(a[0], b[0]) or min(a[3], b[3]) <= max(a[1], b[1])


def test_tiny_pictures_are_enlarged():
    drawn = detections([[8, 8, 40, 40]], size=(48, 64)).draw(np.zeros((48, 64, 3), np.uint8))
    assert drawn.size == (320, 240)


def test_neighbouring_labels_differ():
    colors = np.array([color_of(label) for label in range(91)]).astype(int)
    assert len(np.unique(colors, axis=0)) == 91
    for step in (1, 2, 3):
        assert np.abs(colors[step:] - colors[:-step]).sum(axis=1).min() > 60


def test_text_is_readable_on_every_color():
    def light(color):
        c = np.array(color) / 255
        linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    for label in range(200):  # WCAG 2.1 asks for a contrast of 4.5
        a, b = light(color_of(label)), light(text_color_on(color_of(label)))
        assert (max(a, b) + 0.05) / (min(a, b) + 0.05) >= 4.5


def test_draw_from_the_source(tmp_path):
    Image.fromarray(skimage.data.chelsea()).save(tmp_path / "cat.png")
    found = detections([[60, 2, 400, 298]], size=(300, 451), source=str(tmp_path / "cat.png"))
    drawing = found.draw()
    assert drawing.size == (451, 300)
    for name in ("a.png", "b.jpg"):
        found.save(tmp_path / name)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), np.asarray(drawing))
    assert Image.open(tmp_path / "b.jpg").format == "JPEG"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.jpg", "cat.png"]


def test_draw_on_every_form(found):
    chw = torch.rand(3, 100, 200)
    a = found.draw(chw)
    b = found.draw((chw * 255).round().byte())
    assert np.array_equal(np.asarray(a), np.asarray(b))


def test_what_cannot_be_drawn(found, tmp_path):
    with pytest.raises(ValueError, match="image is needed: this result does not come from a file"):
        found.draw()
    with pytest.raises(ValueError, match=r"image must be 100x200, .* got 50x60"):
        found.draw(np.zeros((50, 60, 3), np.uint8))
    with pytest.raises(ValueError, match=r"path must end in \.json or .* got 'a.txt'"):
        found.save(tmp_path / "a.txt")
    assert list(tmp_path.iterdir()) == []


# Classification.


@pytest.fixture
def predicted():
    return Classification(torch.tensor([0.125, 0.5, 0.375]), CLASSES)


def test_classification(predicted, tmp_path):
    assert predicted.top(2) == [("cat", 0.5), ("dog", 0.375)] and len(predicted.top(9)) == 3
    assert repr(predicted) == "Classification(cat 0.50, dog 0.38, background 0.12)"
    assert predicted.to_dict()["classes"][0] == {"label": 1, "name": "cat", "score": 0.5}
    predicted.save(tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == predicted.to_dict()
    with pytest.raises(ValueError, match=r"scores must be \[C\], got \[1, 3\]"):
        Classification(torch.zeros(1, 3), CLASSES)


def test_bars_are_as_long_as_the_scores(predicted):
    drawn = np.asarray(predicted.draw(np.full((400, 600, 3), 255, np.uint8))).astype(int)
    assert (drawn[:250] == 255).all()
    lengths = []
    for label in (1, 2, 0):
        bar = np.array([c * 3 // 5 for c in color_of(label)])
        lengths.append((drawn == bar).all(axis=2).any(axis=0).nonzero()[0].max())
    assert lengths == pytest.approx([300, 225, 75], abs=8)
