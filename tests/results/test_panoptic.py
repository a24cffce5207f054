"""Panoptic results: what they say, the files they write, and drawings that a person can read."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from fastcv.draw import color_of
from fastcv.draw.segments import shade_of
from fastcv.images import BrokenImageError, read_ids
from fastcv.results import Panoptic, Segment, Segmentation

CLASSES = ("grass", "sky", "cat", "dog")
THINGS = (2, 3)
LABELS = {5: 1, 9: 2, 70_000: 2, 3: 3}


def ids(height=60, width=80):
    """Sky above, a column of void, two cats and a dog in a row below."""
    made = torch.zeros(height, width, dtype=torch.int32)
    made[:20, 10:] = 5
    made[20:40, 10:30] = 9
    made[20:50, 30:50] = 70_000
    made[25:60, 60:70] = 3
    return made


def panoptic(segment_map=None, labels=LABELS, **options):
    segment_map = ids() if segment_map is None else segment_map
    return Panoptic.from_map(segment_map, labels, CLASSES, THINGS, **options)


def test_what_it_says():
    found = panoptic(scores={9: 0.5, 3: 0.9}, crowds={70_000})
    assert found.segments == (
        Segment(5, 1, None, False, 20 * 70),
        Segment(9, 2, 0.5, True, 400),
        Segment(70_000, 2, None, True, 600, True),
        Segment(3, 3, 0.9, True, 350),
    )
    assert repr(found) == "Panoptic(60x80: 2 cat, sky, 1 dog, void 42.7 %)"
    assert found.image_size == (60, 80)
    assert int(found.void.sum()) == 60 * 80 - 1400 - 400 - 600 - 350


def test_labels_masks_and_boxes():
    found = panoptic()
    expected = torch.full((60, 80), 255)
    for id, label in LABELS.items():
        expected[ids() == id] = label
    assert torch.equal(found.semantic, expected)
    assert Segmentation(found.semantic, CLASSES).name_of(255) == "unlabelled"
    masks = found.masks()
    assert all(torch.equal(masks[i], ids() == id) for i, id in enumerate(LABELS))
    for mask, (x1, y1, x2, y2) in zip(masks, found.boxes().tolist(), strict=True):
        y, x = mask.nonzero().T
        assert (x1, y1, x2, y2) == (x.min(), y.min(), x.max() + 1, y.max() + 1)


def test_things_are_instances():
    found = panoptic(scores={9: 0.5, 3: 0.75}).instances()
    assert found.scores.tolist() == [1.0, 0.75, 0.5]  # without one: 1
    assert found.labels.tolist() == [2, 3, 2]
    assert torch.equal(found.masks[2], ids() == 9)
    assert found.boxes[2].tolist() == [10, 20, 30, 40]
    assert len(panoptic((ids() == 5).int() * 5).instances()) == 0


@pytest.mark.parametrize("label", [254, 255])
def test_a_class_with_the_label_of_void(label):
    found = Panoptic.from_map(ids().clamp(max=1), {1: label}, (), ())
    if label == 254:
        assert found.semantic.unique().tolist() == [254, 255]
    else:
        with pytest.raises(ValueError, match="void pixels would get the label 255"):
            _ = found.semantic
    whole = Panoptic.from_map(torch.ones(2, 3, dtype=torch.int32), {1: 255}, (), ())
    assert whole.semantic.unique().tolist() == [255]


def test_void_everywhere_and_no_segments(tmp_path):
    empty = panoptic(torch.zeros(3, 4, dtype=torch.int32), {})
    assert repr(empty) == "Panoptic(3x4: void 100.0 %)"
    assert empty.masks().shape == (0, 3, 4) and empty.boxes().shape == (0, 4)
    assert len(empty.instances()) == 0 and (empty.semantic == 255).all()
    assert empty.draw(torch.zeros(3, 3, 4)).width == 320
    empty.save_segments(tmp_path / "a.png")
    assert repr(Panoptic.load(tmp_path / "a.png")) == repr(empty)


@pytest.mark.parametrize(
    "change, error, words",
    [
        (lambda m: m[None], ValueError, r"segment_map must be \[H, W\], got \[1, 60, 80\]"),
        (lambda m: m[:0], ValueError, r"segment_map must be \[H, W\], got \[0, 80\]"),
        (lambda m: m.long(), TypeError, "segment_map must be int32, got torch.int64"),
        (lambda m: m.float(), TypeError, "segment_map must be int32, got torch.float32"),
        (lambda m: -m, ValueError, "ids must be 0, void, or more, got -70000"),
        (lambda m: m + 1, ValueError, "the map has the id 1, which no segment has"),
    ],
)
def test_bad_maps(change, error, words):
    with pytest.raises(error, match=words):
        panoptic(change(ids()))
    with pytest.raises(error, match=words):
        Panoptic(change(ids()), panoptic().segments, CLASSES, THINGS)


@pytest.mark.parametrize(
    "segments, words",
    [
        ([Segment(1, 0, None, False, 2), Segment(1, 2, None, True, 2)], "2 segments have the id 1"),
        ([Segment(0, 0, None, False, 2)], "ids of segments must be above 0, which is void, got 0"),
        ([Segment(-4, 0, None, False, 2)], "ids of segments must be above 0, which is void, got -"),
        ([Segment(1, -1, None, False, 2)], "labels must be 0 or more, segment 1 has another"),
        ([Segment(1, 2, None, False, 2)], "segment 1 has is_thing=False"),
        ([Segment(1, 0, None, True, 2)], "segment 1 has is_thing=True"),
        ([Segment(1, 0, None, False, 3)], "segment 1 has an area of 3, and 2 pixels of the map"),
        (
            [Segment(1, 0, None, False, 2), Segment(4, 0, None, False, 0)],
            "segment 4 has an area of 0, and 0 pixels of the map",
        ),
    ],
)
def test_bad_segments(segments, words):
    with pytest.raises(ValueError, match=words):
        Panoptic(torch.tensor([[1, 1, 0]], dtype=torch.int32), tuple(segments), CLASSES, THINGS)


def test_to_dict_and_json(tmp_path):
    found = panoptic(scores={9: 0.51239}, source="a.jpg")
    told = found.to_dict()
    assert (told["file"], told["size"], told["void"]) == ("a.jpg", [60, 80], 2050)
    assert told["segments"][1] == {
        "id": 9,
        "label": 2,
        "name": "cat",
        "score": 0.5124,
        "is_thing": True,
        "area": 400,
    }
    found.save(tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text()) == told


# Files of ids.


def test_files_are_as_coco_has_them(tmp_path):
    panoptic(scores={9: 0.5}, crowds={70_000}).save_segments(tmp_path / "new" / "a.png")
    pixels = np.asarray(Image.open(tmp_path / "new" / "a.png")).astype(int)
    by_definition = pixels[..., 0] + 256 * pixels[..., 1] + 256**2 * pixels[..., 2]
    assert (by_definition == ids().numpy()).all()
    content = json.loads((tmp_path / "new" / "a.json").read_text())
    assert content["images"] == [{"id": 0, "file_name": "a.png", "height": 60, "width": 80}]
    (annotation,) = content["annotations"]
    assert annotation["image_id"] == 0 and annotation["file_name"] == "a.png"
    sky, cat, crowd, dog = annotation["segments_info"]
    assert sky == {
        "id": 5,
        "category_id": 1,
        "area": 1400,
        "bbox": [10, 0, 70, 20],
        "iscrowd": 0,
    }
    assert cat["score"] == 0.5 and crowd["iscrowd"] == 1 and dog["bbox"] == [60, 25, 10, 35]
    assert content["categories"][1:3] == [
        {"id": 1, "name": "sky", "isthing": 0},
        {"id": 2, "name": "cat", "isthing": 1},
    ]
    assert sorted(p.name for p in (tmp_path / "new").iterdir()) == ["a.json", "a.png"]


def test_files_come_back(tmp_path):
    found = panoptic(scores={9: 0.5}, crowds={70_000})
    found.save_segments(tmp_path / "a.png")
    again = Panoptic.load(tmp_path / "a.png")
    assert torch.equal(again.segment_map, found.segment_map)
    assert again.segments == found.segments
    assert (again.classes, again.things) == (CLASSES, THINGS)


def test_labels_without_names_and_gaps_come_back(tmp_path):
    made = torch.tensor([[1, 2]], dtype=torch.int32)
    found = Panoptic.from_map(made, {1: 0, 2: 3}, ("a", "(unused)"), (3,))
    found.save_segments(tmp_path / "a.png")
    again = Panoptic.load(tmp_path / "a.png")
    assert again.classes == ("a", "(unused)", "class 2", "class 3")
    assert again.segments == found.segments


def test_more_segments_than_16_bits(tmp_path):
    """And the greatest id that 24 bits have."""
    made = torch.arange(280 * 240, dtype=torch.int32).reshape(280, 240) * 249 + 1
    made[-1, -1] = 256**3 - 1
    found = panoptic(made, {id: 2 for id in made.flatten().tolist()})
    assert len(found.segments) == 67_200
    found.save_segments(tmp_path / "a.png")
    again = Panoptic.load(tmp_path / "a.png")
    assert torch.equal(again.segment_map, made) and again.segments == found.segments
    assert found.boxes()[241].tolist() == [1, 1, 2, 2]


def test_ids_beyond_24_bits_cannot_be_saved(tmp_path):
    found = panoptic(torch.tensor([[256**3]], dtype=torch.int32), {256**3: 2})
    with pytest.raises(ValueError, match=r"ids must be 16777215 or less .* got 16777216"):
        found.save_segments(tmp_path / "a.png")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"path must end in .png, .* got 'a.jpg'"):
        found.save_segments(tmp_path / "a.jpg")


def rewritten(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "change, words",
    [
        (lambda c: c["annotations"][0]["segments_info"].pop(1), "the map has the id 9, which no"),
        (
            lambda c: c["annotations"][0]["segments_info"].extend(
                c["annotations"][0]["segments_info"][2:3]
            ),
            "2 segments have the id 70000",
        ),
        (
            lambda c: c["annotations"][0]["segments_info"][0].update(category_id=9),
            "segment 5 has the category_id 9, which no category has",
        ),
        (
            lambda c: c["annotations"][0]["segments_info"][0].update(id="5"),
            "segment 0 of a.png must have \"id\" as int, got '5'",
        ),
        (lambda c: c.pop("categories"), 'must have a list of objects "categories"'),
        (lambda c: c["categories"][0].update(id=-1), "category ids must be 0 to 999999, .* got -1"),
        (
            lambda c: c["annotations"][0].update(file_name="b.png"),
            "must have one annotation of a.png, it has 0",
        ),
        (
            lambda c: c["annotations"][0].pop("segments_info"),
            'row 0 of annotations must have "segments_info" as list, got None',
        ),
    ],
)
def test_files_that_do_not_fit(tmp_path, change, words):
    panoptic().save_segments(tmp_path / "a.png")
    rewritten(tmp_path / "a.json", change)
    with pytest.raises(ValueError, match=words):
        Panoptic.load(tmp_path / "a.png")


def test_files_that_are_not_there_or_broken(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no image"):
        Panoptic.load(tmp_path / "a.png")
    panoptic().save_segments(tmp_path / "a.png")
    Image.new("L", (80, 60)).save(tmp_path / "a.png")
    with pytest.raises(BrokenImageError, match="its pixels are L, and ids of segments are RGB"):
        Panoptic.load(tmp_path / "a.png")
    Image.new("RGB", (80, 60)).save(tmp_path / "a.png")
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ValueError, match=r"a\.json is not JSON"):
        Panoptic.load(tmp_path / "a.png")
    (tmp_path / "a.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"there is no .*a.json, which says what a.png's"):
        Panoptic.load(tmp_path / "a.png")


def test_ids_that_are_read_are_those_of_the_definition(tmp_path):
    pixels = np.array([[[255, 255, 255], [0, 0, 1], [1, 2, 3]]], dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    expected = [[256**3 - 1, 256**2, 1 + 2 * 256 + 3 * 256**2]]
    assert read_ids(tmp_path / "a.png").tolist() == expected


# Drawings.


def test_shades_of_a_class_differ_and_have_its_hue():
    for label in range(30):
        shades = np.array([shade_of(label, id) for id in range(1, 13)]).astype(int)
        apart = np.abs(shades[:, None] - shades).sum(axis=2) + 999 * np.eye(12, dtype=int)
        assert apart.min() >= 12 and np.abs(shades[1:] - shades[:-1]).sum(axis=1).min() >= 40
        # The same channel is the strongest in all, as in the class's colour.
        strongest = np.argmax(color_of(label))
        assert (shades[:, strongest] == shades.max(axis=1)).all()


def test_segments_are_drawn_in_their_colors():
    large = ids().repeat_interleave(10, 0).repeat_interleave(10, 1)
    found = panoptic(large)
    drawn = np.asarray(found.draw(np.full((600, 800, 3), 100, np.uint8))).astype(int)
    inside = ((600, 100), (200, 320), (400, 400), (650, 500))
    for segment, (x, y) in zip(found.segments, inside, strict=True):
        expected = (np.array(found.color_of(segment)) + 100) // 2
        assert (drawn[y - 20 : y + 20, x - 20 : x + 20] == expected).all()
    sky, cat, other, _ = found.segments
    assert found.color_of(sky) == color_of(1)
    assert found.color_of(cat) != found.color_of(other)


def test_void_is_striped_and_named():
    picture = np.full((300, 400, 3), 100, np.uint8)
    found = panoptic(ids(300, 400))
    drawn = np.asarray(found.draw(picture, legend=False)).astype(int)
    void = drawn[200:290, 100:390].reshape(-1, 3)
    assert (void < 60).all(axis=1).any() and (void > 150).all(axis=1).any()
    without = panoptic(torch.full((300, 400), 5, dtype=torch.int32), {5: 1})
    assert without._legend() == [("sky", color_of(1))]
    assert found._legend()[-1] == ("void", (0, 0, 0))
    assert found.draw(picture).height > 300


def test_only_the_largest_things_have_plates(monkeypatch):
    from fastcv.draw.canvas import Canvas

    texts = []
    monkeypatch.setattr(Canvas, "tag", lambda self, box, label, text: texts.append(text))
    made = torch.arange(1, 81, dtype=torch.int32).repeat(60, 1)
    made[:30, :10] = 80
    scores = {80: 0.75, 1: 0.5}
    found = panoptic(made, {id: 2 for id in range(1, 81)}, scores=scores)
    found.draw(torch.zeros(3, 60, 80))
    assert len(texts) == 50 and texts[0] == "cat  0.75" and "cat" in texts
    assert "cat  0.50" not in texts  # one of the smallest


def test_what_cannot_be_drawn():
    with pytest.raises(ValueError, match="image is needed"):
        panoptic().draw()
    with pytest.raises(ValueError, match="image must be 60x80, the size of the map, got 50x80"):
        panoptic().draw(torch.zeros(3, 50, 80))


def test_save_writes_the_drawing(tmp_path):
    found = panoptic()
    found.save(tmp_path / "a.png", torch.zeros(3, 60, 80))
    assert Image.open(tmp_path / "a.png").width == 320
    assert not (tmp_path / "a.json").exists()


def test_scores_that_are_no_numbers(tmp_path):
    """Of a model whose training has diverged."""
    found = panoptic(scores={9: float("nan"), 3: float("inf")})
    found.save(tmp_path / "a.json")
    scores = [row["score"] for row in json.loads((tmp_path / "a.json").read_text())["segments"]]
    assert scores == [None] * 4
    found.save_segments(tmp_path / "b.png")
    assert all(segment.score is None for segment in Panoptic.load(tmp_path / "b.png").segments)
    found.draw(torch.zeros(3, 60, 80))
