"""Names in any script: glyphs from a font that has them, else escapes; never boxes."""

import io
import re
import warnings
from functools import cache
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from fontTools.ttLib import TTCollection, TTFont
from PIL import Image, ImageDraw, ImageFont

from fastcv.draw import typeface
from fastcv.draw.figure_names import figure_names
from fastcv.draw.typeface import BUILT_IN, Typeface
from fastcv.results import AttentionMaps, Classification, Detections, Instances, Segmentation

NAMES = {
    "English": "cat 1 (big)",
    "French": "café crème",
    "German": "Straße Fußgänger",
    "Czech": "kočka",
    "Polish": "żółw",
    "Vietnamese": "mèo đen",
    "decomposed": "cafe\u0301 o\u0308l",
    "Russian": "кот и собака",
    "Greek": "γάτα σκύλος",
    "Armenian": "կատու",
    "Georgian": "კატა",
    "Chinese": "猫犬",
    "Japanese": "ねこ ネコ",
    "Korean": "고양이 강아지",
    "Korean in parts": "\u1112\u1161\u11ab",
    "Arabic": "قط أسود",
    "Persian": "گربه",
    "Hebrew": "שלום חתול",
    "Hindi": "बिल्ली क्षत्रिय",
    "Bengali": "বিড়াল",
    "Gujarati": "બિલાડી",
    "Punjabi": "ਬਿੱਲੀ",
    "Tamil": "பூனை",
    "Telugu": "పిల్లి",
    "Kannada": "ಬೆಕ್ಕು",
    "Malayalam": "പൂച്ച",
    "Sinhala": "පූසා",
    "Thai": "แมว ผู้ชาย",
    "Lao": "ແມວ",
    "Khmer": "ឆ្មា",
    "Burmese": "ကြောင်",
    "Amharic": "ድመት",
    "signs": "½ ² → ☃ ✓",
    "emoji": "🐱 👩‍👩‍👧",
    "mixed": "cat 猫 кот قط",
    "mixed in a word": "cat猫дым",
}


@cache
def characters_of(path):
    """What a font has, as its table says."""
    if path == BUILT_IN:
        font = TTFont(io.BytesIO(ImageFont.load_default(12).font_bytes))
    elif path.endswith("ttc"):
        font = TTCollection(path).fonts[0]
    else:
        font = TTFont(path)
    return set(font.getBestCmap())


def drawn(name, font=None):
    found = Detections(
        *(torch.tensor([[20.0, 60, 300, 300]]), torch.tensor([0.9]), torch.tensor([1])),
        *(("background", name), (320, 320)),
    )
    return np.asarray(found.draw(Image.new("RGB", (320, 320)), font=font))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_every_character_is_of_a_font_that_has_it(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parts = Typeface(20).parts(name)
    for path, part in parts:
        joiners = {0x200D}
        assert set(map(ord, part)) - joiners <= characters_of(path), (path, part)
    assert "\\" not in "".join(part for _, part in parts)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_no_glyph_is_missing_in_matplotlib(name):
    from matplotlib.figure import Figure

    (shown,), family = figure_names([name])
    figure = Figure()
    figure.text(0, 0, shown, family=family)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib says where a glyph is missing
        figure.savefig(io.BytesIO())


def test_different_names_look_different():
    pictures = {name: drawn(name) for name in NAMES.values()}
    turned = {"".join(reversed(name)): drawn("".join(reversed(name))) for name in ("猫犬", "кот")}
    for (a, first), (b, second) in combinations({**pictures, **turned}.items(), 2):
        assert not np.array_equal(first, second), (a, b)


def test_words_of_a_script_from_right_to_left_are_laid_out_together():
    name = NAMES["Arabic"]
    ((path, part),) = Typeface(20).parts(name)
    font = ImageFont.truetype(path, 20)
    assert part == name
    assert Typeface(20).length(name) == font.getlength(name)
    assert font.getlength(name) < sum(map(font.getlength, name))  # joined


def test_ascii_is_drawn_as_pillow_draws_it():
    pictures = [Image.new("RGB", (400, 60)) for _ in range(2)]
    at, text = (7.5, 29.5), "A cat, gypj (Q)  0.97"
    Typeface(23).write(ImageDraw.Draw(pictures[0]), at, text, (255, 200, 0))
    font = ImageFont.load_default(23)
    ImageDraw.Draw(pictures[1]).text(at, text, (255, 200, 0), font, anchor="lm")
    assert pictures[0].tobytes() == pictures[1].tobytes()


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_text_stays_within_its_height(name):
    face = Typeface(40)
    picture = Image.new("L", (1200, 300))
    face.write(ImageDraw.Draw(picture), (50, 150), name, 255)
    _, top, _, bottom = picture.getbbox()
    assert top >= 150 - face.height(name) / 2 - 1
    assert bottom <= 150 + face.height(name) / 2 + 1


# Where no font has them.


@pytest.fixture
def no_other_fonts(monkeypatch):
    monkeypatch.setattr(typeface, "_other_fonts", lambda: ())


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("café", "caf\\xe9"),
        ("Straße 1", "Stra\\xdfe 1"),
        ("한", "\\ud55c"),
        ("cat 猫犬", "cat \\u732b\\u72ac"),
        ("😺", "\\U0001f63a"),
        ("e\u0302\u0301x", "\\u1ebfx"),
    ],
)
@pytest.mark.usefixtures("no_other_fonts")
def test_what_no_font_has_is_escaped_with_a_warning(name, shown):
    with pytest.warns(UserWarning, match=r"pip install 'fastcv\[fonts\]'.*font="):
        parts = Typeface(20).parts(name)
    assert parts == [(BUILT_IN, shown)]


@pytest.mark.usefixtures("no_other_fonts")
@pytest.mark.filterwarnings("ignore:no font here")
def test_escaped_names_look_different():
    names = [name for name in NAMES.values() if not name.isascii()]
    for a, b in combinations(names, 2):
        assert Typeface(20).parts(a) != Typeface(20).parts(b)


def test_lines_control_characters_and_halves_of_pairs():
    assert Typeface(20).parts("a\nb\tc") == [(BUILT_IN, "a b c")]
    for name, shown in (("a\x07", "a\\x07"), ("\udc80b", "\\udc80b"), ("\ue000", "\\ue000")):
        with pytest.warns(UserWarning, match="no font here"):
            assert Typeface(20).parts(name) == [(BUILT_IN, shown)]
            drawn(name)
    for name in ("", " ", "\u200d", "\u200b"):
        drawn(name)


# A font that is given.


@pytest.fixture(scope="module")
def given():
    """A font with other letters than Pillow's own."""
    return Typeface(20).parts("Straße")[0][0]


def test_a_given_font_is_the_first(given, tmp_path):
    assert Typeface(20, given).parts("cat") == [(given, "cat")]
    assert not np.array_equal(drawn("cat", given), drawn("cat"))
    path, _ = Typeface(20, given).parts("猫")[0]  # what it lacks
    assert path != given and ord("猫") in characters_of(path)


def test_what_is_no_font(tmp_path):
    (tmp_path / "picture.png").write_bytes(b"no font")
    for font in (tmp_path / "picture.png", tmp_path / "none.ttf", tmp_path, "no such font"):
        with pytest.raises(
            ValueError, match=r"font must be a font file, such as a \.ttf or \.otf, g"
        ):
            drawn("cat", font)


@pytest.mark.parametrize("seed", range(20))
def test_a_broken_font_is_told_or_left_out(given, seed, tmp_path):
    """Bytes of it are noise: names are drawn, perhaps in another font, or a sentence says why."""
    generator = np.random.default_rng(seed)
    content = bytearray(Path(given).read_bytes())
    for at in generator.integers(len(content), size=60):
        content[at] = generator.integers(256)
    at = generator.integers(len(content))
    content[at : at + 20000] = bytes(len(content[at : at + 20000]))
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(content)
    try:
        drawing = drawn("Straße 7", broken)
    except ValueError as error:
        assert re.fullmatch("font must be a font file, such as .*broken.ttf'", str(error))
    else:
        assert len(np.unique(drawing)) > 1


def test_every_result_takes_a_font(given, tmp_path):
    image, classes = torch.rand(3, 48, 64), ("background", "猫", "é")
    boxes, labels = torch.tensor([[4.0, 4, 40, 30]]), torch.tensor([1])
    found = (boxes, torch.tensor([0.9]), labels, classes, (48, 64))
    results = [
        Classification(torch.tensor([0.2, 0.5, 0.3]), classes),
        Detections(*found),
        Instances(*found, masks=torch.ones(1, 48, 64, dtype=torch.bool)),
        Segmentation(torch.ones(48, 64, dtype=torch.int64), classes),
        AttentionMaps(Detections(*found), torch.rand(1, 3, 4), torch.rand(0, 3, 4)),
    ]
    for result in results:
        drawing = result.draw(image, font=given)
        assert drawing.tobytes() != result.draw(image).tobytes()
        result.save(tmp_path / "drawing.png", image, font=given)
        assert Image.open(tmp_path / "drawing.png").tobytes() == drawing.tobytes()
