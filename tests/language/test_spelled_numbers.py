"""Numbers as words, by hand."""

import pytest

from fastcv.language import spell_numbers
from fastcv.language.spelled_numbers import ORDINALS, cardinal, ordinal


@pytest.mark.parametrize(
    ("digits", "words"),
    [
        ("0", "zero"),
        ("13", "thirteen"),
        ("20", "twenty"),
        ("99", "ninety-nine"),
        ("100", "one hundred"),
        ("999", "nine hundred ninety-nine"),
        ("1000", "one thousand"),
        ("1984", "one thousand nine hundred eighty-four"),
        ("2,000,001", "two million one"),
        ("1,23", "one,twenty-three"),  # no group of three digits
        ("900000000000000", "nine hundred trillion"),
        ("1000000000000000", "one" + " zero" * 15),  # longer than there are names for
        ("007", "zero zero seven"),
        ("3.14", "three point one four"),
        ("0.05", "zero point zero five"),
        ("-7", "minus seven"),
        ("e-7", "e-seven"),
        ("5-7", "five-seven"),
        ("1st", "first"),
        ("112th", "one hundred twelfth"),
        ("1000th", "one thousandth"),
        ("$1", "one dollar"),
        ("£2.50", "two point five zero pounds"),
        ("50 %", "fifty percent"),
        ("mp3", "mp three"),
        ("4x4", "four x four"),
        ("end.5", "end.five"),
    ],
)
def test_spelled(digits, words):
    assert spell_numbers(digits) == words


def test_every_number_below_a_million_is_read_back():
    names = (
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen"
    )
    tens = "twenty thirty forty fifty sixty seventy eighty ninety"
    values = {word: i for i, word in enumerate(names.split())}
    values |= {word: 10 * i for i, word in enumerate(tens.split(), 2)}

    def value(words):
        total = part = 0
        for word in words.replace("-", " ").split():
            if word == "hundred":
                part *= 100
            elif word == "thousand":
                total, part = part * 1000, 0
            else:
                part += values[word]
        return total + part

    for number in (*range(2100), *range(2100, 1_000_000, 997)):
        assert value(cardinal(number)) == number


def test_ordinals():
    names = "second third fourth fifth eighth ninth twelfth fortieth"
    assert [ordinal(n) for n in (2, 3, 4, 5, 8, 9, 12, 40)] == names.split()
    assert ordinal(101) == "one hundred first"
    assert set(ORDINALS) == {"one", "two", "three", "five", "eight", "nine", "twelve"}
