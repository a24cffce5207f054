"""Units as words."""

import pytest
import torch

from fastcv.language import UnitVocabulary, read_units, spell_units, unit_words


def test_there_and_back():
    units = torch.tensor([0, 17, 1023, 17])
    assert spell_units(units, 1024) == "u0 u17 u1023 u17"
    assert read_units(spell_units(units, 1024), 1024) == units.tolist()
    assert spell_units([], 4) == "" and read_units(" ", 4) == []


def test_every_unit_is_a_word_of_a_vocabulary():
    vocabulary = UnitVocabulary(1024)
    assert len(vocabulary) == 1028
    units = [5, 5, 1000, 0]
    ids = vocabulary.encode(spell_units(units, 1024))
    assert ids.tolist() == [unit + 4 for unit in units]
    assert read_units(vocabulary.decode(ids), 1024) == units


def test_a_vocabulary_refuses_other_words():
    vocabulary = UnitVocabulary(8)
    with pytest.raises(ValueError, match="units must be u0 to u7, got u8"):
        vocabulary.encode("u1 u8")
    with pytest.raises(ValueError, match="'cat' is no unit"):
        vocabulary.encode("cat")
    with pytest.raises(ValueError, match="text must have a word"):
        vocabulary.encode(" ")


@pytest.mark.parametrize("unit", [-1, 8, 10_000])
def test_units_out_of_range(unit):
    with pytest.raises(ValueError, match=f"units must be 0 to 7, got {unit}"):
        spell_units([0, unit], 8)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("u1 cat", "'cat' is no unit, which is written as u17"),
        ("u01", "'u01' is no unit"),
        ("17", "'17' is no unit"),
        ("u8", "units must be u0 to u7, got u8"),
    ],
)
def test_texts_of_other_words(text, message):
    with pytest.raises(ValueError, match=message):
        read_units(text, 8)


def test_no_unit_at_all():
    with pytest.raises(ValueError, match="codes must be at least 1, got 0"):
        unit_words(0)
