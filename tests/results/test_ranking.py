"""A ranking: what is told of it, and how it is drawn."""

import json

import pytest
import torch
from PIL import Image

from fastcv.results import Ranking

SCORES, INDICES = torch.tensor([0.9, 0.5, -0.25]), torch.tensor([4, 0, 2])
TEXTS = ["a red seven", "고양이", "grass " * 60]
PICTURE = torch.full((3, 48, 64), 0.25)


def picture_of(size, colour, path=None):
    image = Image.new("RGB", size, colour)
    if path is not None:
        image.save(path)
    return image


def test_texts_of_a_picture(tmp_path):
    found = Ranking(SCORES, INDICES, texts=TEXTS)
    assert repr(found) == "Ranking(3 texts, best 0.90: a red seven)" and len(found) == 3
    assert found.draw(PICTURE).size == (960, 256)
    many = Ranking(torch.ones(40), torch.arange(40), texts=["a"] * 40).draw(PICTURE)
    assert many.size[0] == 960 and many.size[1] >= 40 * 30
    told = found.to_dict()
    assert told["file"] is None and told["text"] is None
    assert told["ranked"][0] == {"index": 4, "score": pytest.approx(0.9), "text": "a red seven"}
    found.save(tmp_path / "r.json")
    assert json.loads((tmp_path / "r.json").read_text("utf-8"))["ranked"][1]["text"] == "고양이"
    # The picture is on the left, as it is.
    assert found.draw(PICTURE).getpixel((10, 10)) == (64, 64, 64)


def test_pictures_of_a_text(tmp_path):
    colours = ("red", "green", "blue")
    paths = [tmp_path / f"{colour}.png" for colour in colours]
    for path, colour in zip(paths, colours, strict=True):
        picture_of((320, 240), colour, path)
    found = Ranking(SCORES, INDICES, pictures=paths, text="two red sevens")
    assert repr(found) == f"Ranking(3 pictures, best 0.90: {paths[0]})"
    drawing = found.draw()
    seen = {drawing.getpixel((x, drawing.height // 2)) for x in range(drawing.width)}
    assert {(255, 0, 0), (0, 128, 0), (0, 0, 255)} <= seen
    order = [drawing.getpixel((x, drawing.height // 2)) for x in (100, 430, 760)]
    assert order == [(255, 0, 0), (0, 128, 0), (0, 0, 255)]  # the best first
    assert found.to_dict()["ranked"][2] == {
        "index": 2,
        "score": -0.25,
        "file": str(paths[2]),
    }
    found.save(tmp_path / "found.png")
    with Image.open(tmp_path / "found.png") as saved:
        assert saved.size == drawing.size


def test_pictures_without_files():
    found = Ranking(SCORES, INDICES, pictures=[PICTURE, picture_of((30, 40), "red"), PICTURE])
    assert repr(found) == "Ranking(3 pictures, best 0.90: picture 4)"
    assert found.to_dict()["ranked"][0]["file"] is None
    alone = found.draw(PICTURE)
    found.text = "- seven + three"
    assert found.draw(PICTURE).height > alone.height  # the text stands over it


def test_nothing_was_found():
    none = torch.empty(0)
    found = Ranking(none, none.long(), pictures=[], text="a")
    assert repr(found) == "Ranking(0 pictures)" and found.to_dict()["ranked"] == []
    assert found.draw().size > (0, 0)


def test_a_query_that_cannot_be_drawn():
    with pytest.raises(ValueError, match="image is needed"):
        Ranking(SCORES, INDICES, texts=TEXTS).draw()
    with pytest.raises(ValueError, match="font must be a font file"):
        Ranking(SCORES, INDICES, texts=TEXTS).draw(PICTURE, font="none.ttf")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"texts": TEXTS[:2]}, r"must be \[K\] each, got \[3\], \[3\], \[2\]"),
        ({"indices": INDICES[:2]}, r"got \[3\], \[2\], \[3\]"),
        ({"scores": SCORES[:, None]}, r"got \[3, 1\]"),
        ({"pictures": TEXTS}, "texts or pictures, and not both"),
        ({"texts": None}, "texts or pictures, and not both"),
    ],
)
def test_what_is_no_ranking(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        Ranking(**{"scores": SCORES, "indices": INDICES, "texts": TEXTS, **change})


def test_moves_with_its_numbers():
    assert Ranking(SCORES, INDICES, texts=TEXTS).to("meta").scores.device.type == "meta"
