"""Symbols: NVIDIA's ids, English made plain, phones in braces, units, and what cannot be said."""

import pytest

from fastcv.language import Symbols, clean_english


def test_ids_are_those_of_nvidia():
    # Read off its list: padding, hyphen, punctuation, capitals, small letters, phones.
    symbols = Symbols()
    assert len(symbols) == 148 and symbols.symbols[:12] == tuple("_-!'(),.:;? ")
    for symbol, place in (("A", 12), ("Z", 37), ("a", 38), ("z", 63), ("@AA", 64), ("@AA0", 65)):
        assert symbols.symbols[place] == symbol
    for symbol, place in (("@B", 88), ("@HH", 106), ("@OY2", 128), ("@Z", 146), ("@ZH", 147)):
        assert symbols.symbols[place] == symbol


def test_a_text_with_phones():
    symbols = Symbols()
    ids = symbols.encode("Say {T AH0 M EY1 T OW0}, 2x!")
    assert symbols.texts(ids) == [*"say ", "T", "AH0", "M", "EY1", "T", "OW0", *", two x!"]
    # In braces T is a phone, elsewhere a letter.
    assert symbols.texts(symbols.encode("t{T}t")) == ["t", "T", "t"]
    assert symbols.encode("t{T}t")[1] == symbols.symbols.index("@T")


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("  Hello,\n\tWorld ", "hello, world"),
        ("Prof. Ångström & Mrs. Núñez", "professor angstrom and missis nunez"),
        ("cafe\u0301 — \u201cno\u201d, it\u2019s", "cafe - \u201cno\u201d, it's"),
        ("first. Mr. X", "first. mister x"),
        ("Straße", "strasse"),
    ],
)
def test_cleaned(text, plain):
    assert clean_english(text) == plain


def test_units():
    units = Symbols([f"u{i}" for i in range(20)])
    assert units.encode("u17 u0  u17\n").tolist() == [18, 1, 18]
    assert units.texts([18, 1]) == ["u17", "u0"] and len(units) == 21
    with pytest.warns(UserWarning, match=r"left out of a text: u20; known are u0, u1, u2, u3, u4"):
        assert units.encode("u1 u20").tolist() == [2]


@pytest.mark.parametrize(
    "text", ["", " ", "\n", "{}", "안녕하세요", "안녕, 하세요?", "_", "{Q X}", "😀"]
)
def test_nothing_to_say(text):
    with pytest.raises(ValueError, match=r"text must have a") as error:
        Symbols().encode(text)
    assert len(str(error.value)) < 200 and "\n" not in str(error.value)
    if text.strip("{} \n"):
        assert "known are English letters, !'(),.:;? - and ARPAbet's phones" in str(error.value)


def test_what_is_not_known_is_left_out_and_told():
    symbols = Symbols()
    with pytest.warns(UserWarning, match="left out of a text: 가 나; known are English letters"):
        ids = symbols.encode("ga 가 na 나.")
    assert "".join(symbols.texts(ids)) == "ga  na ."


def test_a_long_text_is_cut():
    with pytest.warns(UserWarning, match="a text of 10000 symbols was cut to its first 1000"):
        assert len(Symbols().encode("a" * 10_000)) == 1000


def test_wrong_symbols():
    for wrong in (["a", "a"], ["_"], [""], ["a b"]):
        with pytest.raises(ValueError, match="symbols must be"):
            Symbols(wrong)
    with pytest.raises(TypeError, match="text must be a str, got list"):
        Symbols().encode(["a"])
    assert Symbols(["a"]) == Symbols(["a"]) != Symbols(["b"])
