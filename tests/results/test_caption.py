"""A caption: its numbers, its drawing and the strip of where was looked."""

import json

import pytest
import torch
from PIL import Image

from fastcv.results import Caption

WORDS = ("a", "cat", "on", "a", "mat")
LOG_PROBS = torch.tensor([-0.5, -1.0, -0.25, -0.125, -2.0, -0.0625])


def made(**options):
    return Caption(WORDS, LOG_PROBS, **options)


def test_numbers():
    caption = made(alternatives=(("the cat", -4.5), ("a dog", -6.0)))
    assert caption.text == "a cat on a mat" and caption.log_prob == -3.9375
    assert repr(caption) == "Caption('a cat on a mat', log-probability -3.94)"
    caption.source = "a.png"
    assert caption.to_dict() == {
        "file": "a.png",
        "caption": "a cat on a mat",
        "log_prob": -3.9375,
        "words": [
            {"word": "a", "log_prob": -0.5},
            {"word": "cat", "log_prob": -1.0},
            {"word": "on", "log_prob": -0.25},
            {"word": "a", "log_prob": -0.125},
            {"word": "mat", "log_prob": -2.0},
        ],
        "alternatives": [
            {"caption": "the cat", "log_prob": -4.5},
            {"caption": "a dog", "log_prob": -6.0},
        ],
    }


def test_of_other_words():
    with pytest.raises(ValueError, match=r"log_probs must be \[6\], got \[5\]"):
        Caption(WORDS, LOG_PROBS[:5])
    with pytest.raises(ValueError, match=r"attention must be \[5, h, w\], got \[4, 2, 2\]"):
        made(attention=torch.rand(4, 2, 2))


def lines_below(drawing, height):
    """Rows of text under a picture: runs of rows with ink."""
    ink = [
        any(drawing.getpixel((x, y)) != (255, 255, 255) for x in range(drawing.width))
        for y in range(height, drawing.height)
    ]
    return sum(here and not before for before, here in zip([False, *ink], ink, strict=False))


def test_the_sentence_is_below_the_picture():
    picture = Image.new("RGB", (400, 300), (10, 200, 30))
    drawing = made().draw(picture)
    assert drawing.width == 400 and drawing.crop((0, 0, 400, 300)).tobytes() == picture.tobytes()
    assert lines_below(drawing, 300) == 1
    long = Caption(WORDS * 8, torch.zeros(41)).draw(picture)
    assert lines_below(long, 300) > 1 and long.width == 400
    nothing = Caption((), torch.zeros(1)).draw(picture)
    assert lines_below(nothing, 300) == 0 and nothing.height > 300


def test_any_word_fits():
    for word in ("w" * 500, "고양이가", "a\nb", " "):
        caption = Caption((word, "cat"), torch.zeros(3), torch.rand(2, 3, 3))
        assert caption.draw(torch.rand(3, 20, 30)).width == 330  # 30 pixels, 11 times
        caption.draw_attention(torch.rand(3, 20, 30))


def test_the_strip():
    """A tile for the picture and one for each word, bright where was looked."""
    maps = torch.zeros(5, 2, 2)
    for i, (y, x) in enumerate(((0, 0), (0, 1), (1, 0), (1, 1), (0, 0))):
        maps[i, y, x] = 1
    picture = Image.new("RGB", (400, 400), "white")
    strip = made(attention=maps).draw_attention(picture)
    gap, tile = 8, (strip.width - 8) // 6 - 8
    assert tile == 400

    def corners(column):
        left = gap + column * (tile + gap)
        spots = ((20, 20), (380, 20), (20, 380), (380, 380))
        return [strip.getpixel((left + x, gap + y))[0] for x, y in spots]

    assert corners(0) == [255] * 4
    for column, bright in enumerate((0, 1, 2, 3, 0), 1):
        values = corners(column)
        assert values[bright] > 240 and max(v for i, v in enumerate(values) if i != bright) < 60


def test_files(tmp_path):
    caption = made(attention=torch.rand(5, 3, 3))
    caption.save_attention(tmp_path / "strip.png", torch.rand(3, 20, 30))
    caption.save(tmp_path / "a.png", torch.rand(3, 20, 30))
    caption.save(tmp_path / "a.json")
    assert Image.open(tmp_path / "strip.png").width > Image.open(tmp_path / "a.png").width
    assert json.loads((tmp_path / "a.json").read_text()) == caption.to_dict()


def test_without_attention_there_is_no_strip():
    with pytest.raises(ValueError, match="this caption has no attention: its model does not look"):
        made().draw_attention(torch.rand(3, 8, 8))
    with pytest.raises(ValueError, match="image is needed"):
        made().draw()


def test_of_a_model_that_diverged():
    odd = Caption(
        ("a",),
        torch.tensor([float("nan"), float("-inf")]),
        torch.full((1, 2, 2), float("nan")),
        (("b", float("-inf")),),
    )
    odd.draw(torch.rand(3, 8, 8))
    odd.draw_attention(torch.rand(3, 8, 8))
    told = odd.to_dict()
    assert told["log_prob"] is None and told["alternatives"][0]["log_prob"] is None
    json.dumps(told, allow_nan=False)


def test_to():
    moved = made(attention=torch.rand(5, 2, 2)).to("meta")
    assert moved.log_probs.device.type == moved.attention.device.type == "meta"
