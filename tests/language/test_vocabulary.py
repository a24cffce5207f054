"""Words as ids, and back."""

import json
import unicodedata
import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fastcv.language import Vocabulary, pad_texts, tokenize


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        (" \n\t", []),
        ("Two dogs, 1,000.5 cats!?", ["two", "dogs", ",", "1,000.5", "cats", "!", "?"]),
        (
            "rock-'n'-roll don't -x- a_b",
            "rock - ' n ' - roll don't - x - a _ b".split(),  # noqa: SIM905,
        ),
        ("x2 3d 7.", ["x", "2", "3", "d", "7", "."]),
        ("개가 3마리 있다.", ["개가", "3", "마리", "있다", "."]),
        ("Ärger İs ΣΑΣ", ["ärger", "i̇s", "σας"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),
        ("🐕‍🦺 <end>", ["🐕", "\u200d", "🦺", "<", "end", ">"]),
    ],
)
def test_tokenize(text, parts):
    assert tokenize(text) == parts


@pytest.mark.parametrize("text", ["고양이가 café", "Ångström", "한국어 텍스트"])
def test_normal_forms_are_one(text):
    forms = {tuple(tokenize(unicodedata.normalize(form, text))) for form in ("NFC", "NFD")}
    assert len(forms) == 1
    vocabulary = Vocabulary.from_texts([unicodedata.normalize("NFD", text)])
    for word in text.lower().split():
        assert vocabulary.id_of(unicodedata.normalize("NFD", word)) == vocabulary.id_of(word) > 3
        assert word in vocabulary


@given(st.text(max_size=60))
def test_any_text_loses_spaces_alone(text):
    parts = tokenize(text)
    whole = unicodedata.normalize("NFC", text.lower())
    assert "".join(parts) == "".join(whole.split()) or any(not c.isprintable() for c in whole)
    assert tokenize(" ".join(parts)) == parts or not text.isascii()


def test_ids_by_frequency():
    vocabulary = Vocabulary.from_texts(["b b a c", "a b"], min_frequency=2)
    assert vocabulary.words == ("<pad>", "<start>", "<end>", "<unk>", "b", "a")
    assert len(vocabulary) == 6 and "c" not in vocabulary and vocabulary.id_of("c") == 3
    assert [vocabulary.id_of(s) for s in ("<pad>", "<start>", "<end>", "<unk>")] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="a word that is there 4 times or more"):
        Vocabulary.from_texts(["b b b a"], min_frequency=4)


@pytest.mark.parametrize("texts", [["the cat, the dog"], ["고양이가 상자 안에 있다."]])
def test_there_and_back(texts):
    vocabulary = Vocabulary.from_texts(texts)
    for text in texts:
        ids = vocabulary.encode(text, ends=True)
        assert ids.dtype == torch.int64 and ids[0] == 1 and ids[-1] == 2
        assert vocabulary.decode(ids) == " ".join(tokenize(text))
        assert torch.equal(ids[1:-1], vocabulary.encode(text))
    padded, lengths = pad_texts([ids, ids[:2]])
    assert padded.shape == (2, len(ids)) and lengths.tolist() == [len(ids), 2]
    assert (padded[1, 2:] == 0).all() and vocabulary.decode(padded[1]) == tokenize(texts[0])[0]


def test_decode_refuses_other_ids():
    vocabulary = Vocabulary(["a"])
    for bad in (5, -1):
        with pytest.raises(ValueError, match=f"ids must be 0 to 4, got {bad}"):
            vocabulary.decode([4, bad])


def test_bad_texts():
    vocabulary = Vocabulary(["cat", "dog"])
    for empty in ("", " \n "):
        with pytest.raises(ValueError, match="text must have a word, got"):
            vocabulary.encode(empty)
    with pytest.raises(ValueError, match="none of 'xyz 새' is among the 6 of the vocabulary"):
        vocabulary.encode("xyz 새")
    with pytest.warns(UserWarning, match="a text of 10000 words was cut to its first 1000"):
        assert len(vocabulary.encode("cat " * 10_000)) == 1000
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(vocabulary.encode("cat " * 1000)) == 1000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a", "b", "a"], "'a' is there 2 times"),
        (["<pad>"], "'<pad>' is there 2 times"),
        (["é", "e\u0301"], "'é' is there 2 times"),
        ([""], "must not be empty"),
    ],
)
def test_bad_words(words, message):
    with pytest.raises(ValueError, match=message):
        Vocabulary(words)


def test_files(tmp_path):
    vocabulary = Vocabulary(["고양이", "café", '"', "\\"])
    path = tmp_path / "new" / "vocabulary.json"
    vocabulary.save(path)
    assert Vocabulary.load(path) == vocabulary
    assert "고양이" in path.read_text("utf-8")  # a person can read it
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary
    for bad in ("", "[]", "{}", json.dumps({"words": [1]}), json.dumps({"words": "ab"})):
        path.write_text(bad)
        with pytest.raises(ValueError, match=r"vocabulary.json: a vocabulary must be JSON"):
            Vocabulary.load(path)
    with pytest.raises(FileNotFoundError):
        Vocabulary.load(tmp_path / "none.json")


def test_bad_batches():
    with pytest.raises(ValueError, match="texts must be one or more"):
        pad_texts([])
    with pytest.raises(ValueError, match=r"one has \[1, 2\]"):
        pad_texts([torch.zeros(1, 2)])
