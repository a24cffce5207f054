"""What is heard, and where: results of sounds."""

import math

import numpy as np
import pytest
import torch

from fastcv.results import Classification, SoundClasses, SoundMap


@pytest.fixture
def heard():
    return SoundClasses(
        Classification(torch.tensor([0.25, 0.75]), ("bee", "dog")),
        Classification(torch.tensor([0.625, 0.375]), ("park", "shop")),
        "a.wav",
    )


def test_both_heads(heard):
    told = heard.to_dict()
    assert told["file"] == "a.wav"
    assert [row["name"] for row in told["objects"]] == ["dog", "bee"]
    assert [row["score"] for row in told["scenes"]] == [0.625, 0.375]
    assert heard.classes == ("bee", "dog") and heard.to("cpu").to_dict() == told


def test_bars_lie_on_a_picture_or_on_nothing(heard):
    assert heard.draw().size == heard.draw(font=None).size
    over = heard.draw(torch.zeros(3, 100, 400))
    assert over.width > 2 * 400 and over.size != heard.draw().size


@pytest.fixture
def scores():
    values = torch.zeros(4, 5)
    values[1, 3], values[2, 0] = 0.5, 0.25
    return values


def test_the_peak(scores):
    assert SoundMap(scores).peak == (3.5 / 5, 1.5 / 4)
    assert SoundMap(scores, image_size=(80, 100)).peak == (70, 30)


def test_shares_are_the_softmax(scores):
    total = 18 + math.exp(0.5) + math.exp(0.25)
    shares = SoundMap(scores).shares
    assert float(shares[1, 3]) == pytest.approx(math.exp(0.5) / total)
    assert float(shares.sum()) == pytest.approx(1)


def test_colours_have_one_scale(scores):
    """A weak map is drawn weaker; one of zeros leaves the picture grey."""
    picture = torch.full((3, 320, 400), 0.5)
    strong, weak, none = (
        np.asarray(SoundMap(scores * factor).draw(picture)).astype(int) for factor in (2, 0.2, 0)
    )
    assert strong.shape == (320, 400, 3)
    assert (none == 128).all()
    spread = [int((drawn.max(2) - drawn.min(2)).max()) for drawn in (strong, weak, none)]
    assert spread[0] > spread[1] > spread[2] == 0


def test_a_map_without_a_picture(scores):
    found = SoundMap(scores)
    with pytest.raises(ValueError, match="size is needed: the picture's is not known"):
        found.resized()
    with pytest.raises(ValueError, match="image is needed"):
        found.draw()
    for wrong in (torch.zeros(4), torch.zeros(0, 3), torch.zeros(1, 2, 3)):
        with pytest.raises(ValueError, match=r"scores must be \[h, w\], got"):
            SoundMap(wrong)


def test_numbers_that_are_none(scores):
    scores[0, 0] = float("nan")
    assert SoundMap(scores).to_dict()["scores"][0][0] is None
