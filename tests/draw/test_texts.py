"""Rows of pictures under their sentences."""

import numpy as np
import pytest
from PIL import Image

from fastcv.draw.texts import MIN_WIDTH, draw_texts


def plain(*values):
    return [Image.new("RGB", (100, 20), (value, 0, 0)) for value in values]


def test_a_row_for_each_sentence():
    sheet = np.asarray(draw_texts(plain(10, 20, 30, 40), ["a", "a", "b", "b"], gap=4))
    assert sheet.shape[1] == MIN_WIDTH and sheet.shape[0] % 2 == 0
    upper, lower = np.split(sheet, 2)
    for row, values in ((upper, (10, 20)), (lower, (30, 40))):
        pictures = row[-24:-4, 4:104], row[-24:-4, 108:208]
        for picture, value in zip(pictures, values, strict=True):
            assert (picture == (value, 0, 0)).all()
        letters = row[:-28]
        assert (letters < 128).any() and (letters[:, 30:] == 255).all()


def test_a_sheet_is_as_wide_as_its_longest_row():
    sheet = draw_texts(plain(1, 2, 3, 4), ["a", "b", "b", "b"], gap=2)
    assert sheet.width == 3 * 102 + 2


@pytest.mark.parametrize("text", ["word " * 10_000, "w" * 50_000, "고양이 " * 200, "a\nb\tc"])
def test_any_sentence_finds_room(text):
    sheet = np.asarray(draw_texts(plain(9), [text], gap=2))
    assert sheet.shape[1] == MIN_WIDTH and sheet.shape[0] < 70
    assert (sheet[:, -2:] == 255).all()


def test_no_picture():
    with pytest.raises(ValueError, match="pictures must have at least one, got none"):
        draw_texts([], [], gap=2)
