"""Symbols that a voice reads: letters, punctuation and phones; or units of any other kind."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor

from fastcv.language.spelled_numbers import spell_numbers

PAD_SYMBOL = "_"
PUNCTUATION = "!'(),.:;? "
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VOWELS = "AA AE AH AO AW AY EH ER EY IH IY OW OY UH UW"
_CONSONANTS = "B CH D DH F G HH JH K L M N NG P R S SH T TH V W Y Z ZH"
PHONES = tuple(
    sorted([v + stress for v in _VOWELS.split() for stress in ("", *"012")] + _CONSONANTS.split())
)
"""ARPAbet, as CMU's dictionary has it; a vowel's digit is its stress."""

ENGLISH = ("-", *PUNCTUATION, *LETTERS, *("@" + phone for phone in PHONES))
"""The 147 symbols of NVIDIA's Tacotron 2, in its order; before them comes the padding."""

SHORT = {
    "mr": "mister",
    "mrs": "missis",
    "dr": "doctor",
    "st": "saint",
    "prof": "professor",
    "vs": "versus",
    "etc": "et cetera",
}
SAID = {"&": " and ", "’": "'", "‘": "'", "–": "-", "—": "-", "…": "...", "ß": "ss"}  # noqa: RUF001  # quotes and dashes are what it is about
MAX_SYMBOLS = 1000


def clean_english(text: str) -> str:
    """Small letters without accents, numbers and short forms as words, single spaces.

    Example:
        >>> from fastcv.language import clean_english
        >>> clean_english("Dr. Müller  has 2 cafés & 1 dog")
        'doctor muller has two cafes and one dog'
    """
    for mark, said in SAID.items():
        text = text.replace(mark, said)
    text = "".join(_plain(letter) for letter in unicodedata.normalize("NFC", text)).lower()
    text = re.sub(rf"\b({'|'.join(SHORT)})\.", lambda match: SHORT[match[1]], text)
    return re.sub(r"\s+", " ", spell_numbers(text)).strip()


def _plain(letter: str) -> str:
    base = unicodedata.normalize("NFKD", letter)[0]
    return base if base.isascii() else letter


class Symbols:
    """Symbols and their ids. Id 0 is the padding.

    Texts of symbols that are characters are cleaned as English, and phones may stand in braces:
    ``"say {T AH0 M EY1 T OW0}"``. Any other symbols, such as ``u17``, stand with spaces between.

    Args:
        symbols: without the padding, each once; the first gets id 1.

    Raises:
        ValueError: a symbol is there twice, is empty, or has a space beside other characters.

    Example:
        >>> from fastcv.language import Symbols
        >>> Symbols().encode("Hi, 2!").tolist()
        [45, 46, 6, 11, 57, 60, 52, 2]
        >>> Symbols(["u4", "u17"]).encode("u17 u4 u17").tolist()
        [2, 1, 2]
    """

    def __init__(self, symbols: Sequence[str] = ENGLISH) -> None:
        for symbol in symbols:
            if not symbol or (len(symbol) > 1 and any(c.isspace() for c in symbol)):
                raise ValueError(f"symbols must be without spaces and not empty, got {symbol!r}")
        self.symbols = (PAD_SYMBOL, *symbols)
        self._ids = {symbol: i for i, symbol in enumerate(self.symbols)}
        if len(self._ids) < len(self.symbols):
            twice = next(s for s in self.symbols if self.symbols.count(s) > 1)
            raise ValueError(f"symbols must be there once each, and none the padding: {twice!r}")
        self.of_characters = any(len(symbol) == 1 for symbol in symbols)

    def __len__(self) -> int:
        return len(self.symbols)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Symbols) and self.symbols == other.symbols

    def __hash__(self) -> int:
        return hash(self.symbols)

    def __repr__(self) -> str:
        return f"{len(self)} symbols: {self.known()}"

    def known(self) -> str:
        """For people: which symbols there are."""
        if self.symbols[1:] == ENGLISH:
            return f"English letters, {PUNCTUATION.strip()} - and ARPAbet's phones in braces"
        shown = ", ".join(self.symbols[1:6])
        return shown + (f", ... ({len(self) - 1} in all)" if len(self) > 6 else "")

    def encode(self, text: str, *, max_symbols: int = MAX_SYMBOLS) -> Tensor:
        """A text as ids.

        Args:
            text: what is to be said. Symbols that are not known are left out, with a warning.
            max_symbols: a longer text is cut, with a warning.

        Returns:
            ``[N]`` int64.

        Raises:
            TypeError: it is no text.
            ValueError: there is no symbol in it, or none that is known.
        """
        if not isinstance(text, str):
            raise TypeError(f"text must be a str, got {type(text).__name__}")
        parts = self._parts(text)
        ids = [self._ids[part] for part in parts if self._is_known(part)]
        if not any(part.strip() for part in parts):
            raise ValueError(f"text must have a letter or another symbol, got {_short(text)!r}")
        unknown = sorted({part for part in parts if not self._is_known(part)})
        if unknown and all(self.symbols[i].strip(PUNCTUATION + "-") == "" for i in ids):
            raise ValueError(
                f"text must have a symbol that is known, got {_short(text)!r}: known are "
                f"{self.known()}"
            )
        if unknown:
            warnings.warn(
                f"left out of a text: {_short(' '.join(unknown))}; known are {self.known()}",
                stacklevel=2,
            )
        if len(ids) > max_symbols:
            warnings.warn(
                f"a text of {len(ids)} symbols was cut to its first {max_symbols}", stacklevel=2
            )
        return torch.tensor(ids[:max_symbols])

    def texts(self, ids: Tensor | Sequence[int]) -> list[str]:
        """The symbol of each id, for people; that of a phone without its @."""
        numbers = ids.tolist() if isinstance(ids, Tensor) else ids
        return [
            s.removeprefix("@") if len(s) > 1 else s for s in map(self.symbols.__getitem__, numbers)
        ]

    def _is_known(self, part: str) -> bool:
        return part in self._ids and part != PAD_SYMBOL

    def _parts(self, text: str) -> list[str]:
        if not self.of_characters:
            return text.split()
        found: list[str] = []
        for i, piece in enumerate(re.split(r"\{([^{}]*)\}", text)):
            if i % 2:  # in braces
                found += ["@" + phone for phone in piece.split()]
            else:
                cleaned = clean_english(piece)
                # A word and a phone are apart, as they were.
                before = piece[:1].isspace() and bool(found) and bool(cleaned)
                after = piece[-1:].isspace() and len(text) > len(piece)
                found += [*" " * before, *cleaned, *" " * after]
        return found if found != [" "] else []


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:39] + "…"
