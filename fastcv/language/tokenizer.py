"""Texts as words, numbers and signs."""

from __future__ import annotations

import re
import unicodedata

# A word may have apostrophes and hyphens inside, a number points and commas.
PARTS = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*|\d+(?:[.,]\d+)*|[^\w\s]|_")


def tokenize(text: str) -> list[str]:
    """A text's words, numbers and signs, in lower case and in Unicode's normal form NFC.

    Any script with spaces between its words works. Where a script has none, as Chinese, a run of
    letters is one word.

    Args:
        text: any.

    Returns:
        The parts in order. A word keeps apostrophes and hyphens that are inside of it, a number its
        points and commas; any other sign is a part by itself. Spaces are dropped.

    Example:
        >>> from fastcv.language import tokenize
        >>> tokenize("It's 3.5 times a well-known Café!")
        ["it's", '3.5', 'times', 'a', 'well-known', 'café', '!']
        >>> tokenize("고양이가 상자 안에 있다.")
        ['고양이가', '상자', '안에', '있다', '.']
    """
    text = unicodedata.normalize("NFC", text.lower())
    shape = text if text.isascii() else "".join(map(_shape, text))
    return [text[m.start() : m.end()] for m in PARTS.finditer(shape)]


def _shape(character: str) -> str:
    """Marks, such as the vowels of Hindi, belong to the word that they are in."""
    return "a" if unicodedata.category(character)[0] == "M" else character
