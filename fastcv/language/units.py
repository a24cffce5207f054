"""Units of speech as words: "u17" is code 17 of a codebook."""

from __future__ import annotations

import re
from collections.abc import Iterable

from torch import Tensor

from fastcv.language.vocabulary import Vocabulary


def unit_words(codes: int) -> tuple[str, ...]:
    """The words of a codebook.

    Args:
        codes: how many it has.

    Raises:
        ValueError: fewer than 1.

    Example:
        >>> from fastcv.language import unit_words
        >>> unit_words(3)
        ('u0', 'u1', 'u2')
    """
    if codes < 1:
        raise ValueError(f"codes must be at least 1, got {codes}")
    return tuple(f"u{code}" for code in range(codes))


def spell_units(units: Iterable[int] | Tensor, codes: int) -> str:
    """Units as a text, with spaces between them.

    Args:
        units: 0 to ``codes - 1`` each.
        codes: how many there are.

    Raises:
        ValueError: a unit out of that range.

    Example:
        >>> from fastcv.language import spell_units
        >>> spell_units([17, 3], codes=20)
        'u17 u3'
    """
    numbers = units.tolist() if isinstance(units, Tensor) else list(units)
    for unit in numbers:
        if not 0 <= unit < codes:
            raise ValueError(f"units must be 0 to {codes - 1}, got {unit}")
    return " ".join(f"u{unit}" for unit in numbers)


def read_units(text: str, codes: int) -> list[int]:
    """The units of a text.

    Args:
        text: as ``spell_units`` writes it, or a caption of ``image_to_units``.
        codes: how many there are.

    Raises:
        ValueError: a word that is no unit, or a unit that is not below ``codes``.

    Example:
        >>> from fastcv.language import read_units
        >>> read_units("u17 u3", codes=20)
        [17, 3]
    """
    found = []
    for word in text.split():
        if re.fullmatch(r"u(0|[1-9][0-9]*)", word) is None:
            raise ValueError(f"{word!r} is no unit, which is written as u17")
        if int(word[1:]) >= codes:
            raise ValueError(f"units must be u0 to u{codes - 1}, got {word}")
        found.append(int(word[1:]))
    return found


class UnitVocabulary(Vocabulary):
    """Units as the words of a vocabulary.

    Args:
        codes: how many there are.

    Raises:
        ValueError: fewer than 1.

    Example:
        >>> from fastcv.language import UnitVocabulary
        >>> vocabulary = UnitVocabulary(20)
        >>> ids = vocabulary.encode("u17 u3", ends=True)
        >>> ids, vocabulary.decode(ids)
        (tensor([ 1, 21,  7,  2]), 'u17 u3')
    """

    def __init__(self, codes: int) -> None:
        super().__init__(unit_words(codes))
        self.codes = codes

    def split(self, text: str) -> list[str]:
        """The words between spaces.

        Raises:
            ValueError: as of ``read_units``.
        """
        read_units(text, self.codes)
        return text.split()
