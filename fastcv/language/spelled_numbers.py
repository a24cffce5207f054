"""Numbers as English words, as they are read aloud."""

from __future__ import annotations

import re

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
ONES, TENS = _ONES.split(), _TENS.split()
GROUPS = ("", " thousand", " million", " billion", " trillion")
ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
UNITS = {"$": "dollar", "£": "pound", "€": "euro"}
NUMBER = re.compile(
    r"(?P<sign>(?<![\w.])-)?(?P<unit>[$£€])?(?P<whole>\d{1,3}(?:,\d{3})+(?!\d)|\d+)"
    r"(?:(?P<ordinal>st|nd|rd|th)\b|\.(?P<part>\d+))?(?P<percent>\s?%)?",
    re.IGNORECASE,
)


def cardinal(number: int) -> str:
    """A whole number from 0 to 999,999,999,999,999.

    Example:
        >>> from fastcv.language.spelled_numbers import cardinal
        >>> cardinal(12_017)
        'twelve thousand seventeen'
    """
    groups = []
    for name in GROUPS:
        number, rest = divmod(number, 1000)
        if rest:
            groups.append(_below_thousand(rest) + name)
    return " ".join(reversed(groups)) or ONES[0]


def ordinal(number: int) -> str:
    """Which one in a row.

    Example:
        >>> from fastcv.language.spelled_numbers import ordinal
        >>> ordinal(1), ordinal(22), ordinal(30)
        ('first', 'twenty-second', 'thirtieth')
    """
    name = cardinal(number)
    before, last = re.fullmatch(r"(.*?)([a-z]+)", name).groups()  # type: ignore[union-attr]  # a name ends in letters
    if last in ORDINALS:
        return before + ORDINALS[last]
    return before + (last[:-1] + "ieth" if last.endswith("y") else last + "th")


def spell_numbers(text: str) -> str:
    """Numbers in a text as words.

    One rule: the value is read out in groups of three digits, and what is behind a point digit by
    digit. A number that begins with a 0 or has more than 15 digits is read digit by digit. Years
    are no exception.

    Example:
        >>> from fastcv.language import spell_numbers
        >>> spell_numbers("1,250 of the 3rd, -4.05 and $1")
        'one thousand two hundred fifty of the third, minus four point zero five and one dollar'
        >>> spell_numbers("50% and 007")
        'fifty percent and zero zero seven'
    """
    return NUMBER.sub(_spelled, text)


def _spelled(match: re.Match[str]) -> str:
    digits = match["whole"].replace(",", "")
    by_digit = len(digits) > 15 or (len(digits) > 1 and digits[0] == "0")
    if match["ordinal"] and not by_digit:
        said = ordinal(int(digits))
    else:
        said = _by_digit(digits) if by_digit else cardinal(int(digits))
        said += match["ordinal"] or ""
    if match["part"]:
        said += " point " + _by_digit(match["part"])
    if match["unit"]:
        said += f" {UNITS[match['unit']]}" + "s" * (digits != "1" or match["part"] is not None)
    if match["percent"]:
        said += " percent"
    before = match.string[match.start() - 1 : match.start()]
    after = match.string[match.end() : match.end() + 1]
    # Letters next to digits, as in "mp3", are words of their own.
    return " " * before.isalpha() + "minus " * bool(match["sign"]) + said + " " * after.isalpha()


def _by_digit(digits: str) -> str:
    return " ".join(ONES[int(digit)] for digit in digits)


def _below_thousand(number: int) -> str:
    hundreds, rest = divmod(number, 100)
    said = [f"{ONES[hundreds]} hundred"] if hundreds else []
    if rest >= 20:
        said.append(TENS[rest // 10 - 2] + (f"-{ONES[rest % 10]}" if rest % 10 else ""))
    elif rest:
        said.append(ONES[rest])
    return " ".join(said)
